import { Code, ConnectError } from "@connectrpc/connect";
import { ErrorReason } from "./gen/facerec/v1/error_reason_pb.js";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "./gen/google/rpc/error_details_pb.js";

/** Why a call failed: a reason of a service, or the client's own UNREACHABLE and DEADLINE_EXCEEDED. */
export type Reason = Exclude<keyof typeof ErrorReason, "ERROR_REASON_UNSPECIFIED"> | "UNREACHABLE" | "DEADLINE_EXCEEDED";

const DOMAIN = "facerec.internal";

/** A failed call. The `cause` is the ConnectError. */
export class FacerecError extends Error {
  override readonly name = "FacerecError";
  /** The canonical code of gRPC, by the numbers of Connect's `Code`. */
  readonly code: Code;
  /** Why the call failed: a `Reason`, one that only a newer service knows, or "" if none was given. */
  readonly reason: Reason | (string & {});
  /** The path of the invalid field of the request, such as `items[2].probe.image`; "" if there is none. */
  readonly field: string;
  /** How long to wait before another try, in milliseconds; undefined if no service said. */
  readonly retryAfterMs: number | undefined;
  /** Further values for programs, such as the `person_id` of FACE_DUPLICATE. */
  readonly metadata: Readonly<Record<string, string>>;
  /** The id under which the services' logs have the call. */
  readonly requestId: string;

  /**
   * @param cause What the transport threw.
   * @param requestId The `x-request-id` that was sent.
   * @param signal The caller's, which says whether the call was cancelled.
   */
  constructor(cause: unknown, requestId: string, signal?: AbortSignal) {
    const error = ConnectError.from(cause);
    super(error.rawMessage, { cause: error });
    const [info] = error.findDetails(ErrorInfoSchema).filter((each) => each.domain === DOMAIN);
    this.code = info ? error.code : codeWithoutService(error, signal);
    this.reason = info ? info.reason : reasonWithoutService(this.code);
    this.field = error.findDetails(BadRequestSchema)[0]?.fieldViolations[0]?.field ?? "";
    const delay = error.findDetails(RetryInfoSchema)[0]?.retryDelay;
    this.retryAfterMs = delay && Number(delay.seconds) * 1000 + delay.nanos / 1e6;
    this.metadata = info?.metadata ?? {};
    this.requestId = requestId;
  }
}

// A connection that was not made or was lost: a TypeError of fetch; of Node's HTTP/2 ABORTED, or CANCELLED although the
// caller did not cancel.
function codeWithoutService(error: ConnectError, signal: AbortSignal | undefined): Code {
  const isLost = error.code === Code.Aborted || (error.code === Code.Canceled && !signal?.aborted);
  return isLost || error.cause instanceof TypeError ? Code.Unavailable : error.code;
}

function reasonWithoutService(code: Code): Reason | "" {
  if (code === Code.Unavailable) return "UNREACHABLE";
  return code === Code.DeadlineExceeded ? "DEADLINE_EXCEEDED" : "";
}
