import type { DescMethod } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import type { FacerecError } from "./errors.js";
import { RETRIED } from "./gen/retried.js";

// Those of the service config in docs/clients.md.
const MAX_ATTEMPTS = 4;
const INITIAL_BACKOFF_MS = 100;
const MAX_BACKOFF_MS = 1000;
const BACKOFF_MULTIPLIER = 3;

/**
 * How long to wait before a failed call is sent again.
 *
 * A service's own delay (RetryInfo) is waited for in full; the backoff comes on top, so that callers who were refused
 * together do not return together.
 *
 * @param method The method called.
 * @param error How it failed.
 * @param attempts How many times it was sent.
 * @param random From 0 to 1: where in its range of 80 to 120 % the backoff is.
 * @returns Milliseconds; undefined if the call must not or need not be sent again.
 */
export function retryDelayMs(
  method: DescMethod,
  error: FacerecError,
  attempts: number,
  random = Math.random(),
): number | undefined {
  if (attempts >= MAX_ATTEMPTS || !RETRIED.has(`${method.parent.typeName}/${method.name}`)) return undefined;
  const isRefused = error.code === Code.ResourceExhausted && error.retryAfterMs !== undefined;
  if (error.code !== Code.Unavailable && !isRefused) return undefined;
  const backoffMs = Math.min(MAX_BACKOFF_MS, INITIAL_BACKOFF_MS * BACKOFF_MULTIPLIER ** (attempts - 1));
  return (error.retryAfterMs ?? 0) + backoffMs * (0.8 + 0.4 * random);
}
