import type { Transport } from "@connectrpc/connect";
import { FacerecError } from "./errors.js";
import { retryDelayMs } from "./retries.js";

/** What all calls of a client have. */
export interface CallOptions {
  /** The key of locked services. */
  apiKey?: string | undefined;
  /** The deadline of each call that is no stream, all of its attempts together, in milliseconds. Default: 30,000. */
  timeoutMs?: number | undefined;
}

const REQUEST_ID = "x-request-id";

/**
 * A transport whose calls have the key, a request id and a deadline, are sent again where that is safe, and fail with a
 * FacerecError.
 *
 * @param transport What sends a call once.
 * @param options The key and the deadline.
 */
export function withPolicy(transport: Transport, options: CallOptions): Transport {
  const { apiKey, timeoutMs: defaultTimeoutMs = 30_000 } = options;
  return {
    async unary(method, signal, timeoutMs, header, input, contextValues) {
      const [headers, requestId] = prepare(header, apiKey);
      const deadline = performance.now() + ((timeoutMs ?? defaultTimeoutMs) || Infinity);
      for (let attempts = 1; ; attempts++) {
        try {
          const leftMs = untilMs(deadline);
          return await transport.unary(method, signal, leftMs, headers, input, contextValues);
        } catch (cause) {
          const error = new FacerecError(cause, requestId, signal);
          const delayMs = retryDelayMs(method, error, attempts);
          if (delayMs === undefined || performance.now() + delayMs >= deadline) throw error;
          await sleep(delayMs, signal, requestId);
        }
      }
    },

    async stream(method, signal, timeoutMs, header, input, contextValues) {
      const [headers, requestId] = prepare(header, apiKey);
      try {
        const response = await transport.stream(method, signal, timeoutMs, headers, input, contextValues);
        return { ...response, message: answers(response.message, requestId, signal) };
      } catch (cause) {
        throw new FacerecError(cause, requestId, signal);
      }
    },
  };
}

async function* answers<T>(
  messages: AsyncIterable<T>,
  requestId: string,
  signal: AbortSignal | undefined,
): AsyncIterable<T> {
  try {
    yield* messages;
  } catch (cause) {
    throw new FacerecError(cause, requestId, signal);
  }
}

function prepare(header: HeadersInit | undefined, apiKey: string | undefined): [Headers, string] {
  const headers = new Headers(header);
  if (apiKey && !headers.has("authorization")) headers.set("authorization", `Bearer ${apiKey}`);
  const requestId = headers.get(REQUEST_ID) ?? newRequestId();
  headers.set(REQUEST_ID, requestId);
  return [headers, requestId];
}

// Not crypto.randomUUID, which pages without TLS do not have.
function newRequestId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

// Whole milliseconds, as the header of the deadline has them; undefined for no deadline.
function untilMs(deadline: number): number | undefined {
  return deadline === Infinity ? undefined : Math.max(1, Math.ceil(deadline - performance.now()));
}

function sleep(delayMs: number, signal: AbortSignal | undefined, requestId: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(new FacerecError(new DOMException("the call was cancelled", "AbortError"), requestId, signal));
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, delayMs);
    signal?.addEventListener("abort", stop, { once: true });
    if (signal?.aborted) stop();
  });
}
