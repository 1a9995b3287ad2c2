/**
 * Calls of the services through the gateway that served this page.
 *
 * A call that changes nothing is sent again until the services answer; one that changes something is sent once, unless
 * it has a request id.
 */

import * as connection from "./connection.js";

const SERVICES = {
  MatcherService: "facerec.matcher.v1.MatcherService",
  CollectionService: "facerec.matcher.v1.CollectionService",
  EncoderService: "facerec.encoder.v1.EncoderService",
};

const SAFE = new Set([
  "Verify", "Identify", "Compare", "GetPerson", "BatchGetPersons", "ListPersons", "ListFaces", "GetFace", "GetErasure",
  "GetCollection", "ListCollections", "MeasureRecall", "ListDuplicates", "ListInconsistentFaces", "ListAuditEvents",
  "GetCaller", "GetStatus", "GetModel", "DetectFaces",
]);

/** What may take minutes, and says so where it is called. */
const LONG = new Set(["Calibrate", "MeasureRecall"]);

let csrfToken = "";
let onUnauthenticated = () => {};

/**
 * Use the token that the gateway requires beside the session's cookie.
 *
 * @param {string} token An empty one for none.
 */
export function useToken(token) {
  csrfToken = token;
}

/**
 * Call a function when the gateway answers that there is no valid key.
 *
 * @param {(error: CallError) => void} listener
 */
export function whenUnauthenticated(listener) {
  onUnauthenticated = listener;
}

/** Why a call failed. */
export class CallError extends Error {
  /**
   * @param {string} message A sentence for people.
   * @param {{code?: string, reason?: string, field?: string, retryAfterSeconds?: number, requestId?: string,
   *   metadata?: Object<string, string>}} more The code of the Connect protocol, the reason of docs/errors.md, the field
   *   that is wrong, the seconds to wait, the id under which the logs have the call, and what belongs to the reason.
   */
  constructor(message, more = {}) {
    super(message);
    Object.assign(this, { code: "unknown", reason: "", field: "", retryAfterSeconds: 0, requestId: "", metadata: {} }, more);
  }
}

/**
 * Call a method with JSON.
 *
 * @param {string} method Service and method, such as `MatcherService/ListPersons`.
 * @param {Object} request The request in JSON, by the contract's names in camel case.
 * @param {{signal?: AbortSignal, onLost?: (wait: (signal?: AbortSignal) => Promise<void>) => void}} options
 *   With `onLost` a call that finds no service ready fails, and the function gets what waits until one is.
 * @returns {Promise<any>} The answer. Throws CallError, or AbortError where the signal ended it.
 */
export async function call(method, request, { signal, onLost } = {}) {
  const [service, name] = method.split("/");
  const init = { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(request) };
  const repeatable = SAFE.has(name) || Boolean(request.requestId);
  const end = LONG.has(name) ? () => {} : connection.began();
  return send(`/${SERVICES[service]}/${name}`, init, repeatable, signal, onLost).finally(end);
}

/**
 * Call a method by its short path, with photos as files.
 *
 * @param {string} name The method, such as `Verify`.
 * @param {Array<[string, string|number|boolean|Blob]>} fields The form's fields; a Blob is a photo.
 * @param {{signal?: AbortSignal}} options
 * @returns {Promise<any>} As `call`.
 */
export async function post(name, fields, { signal } = {}) {
  const form = new FormData();
  for (const [field, value] of fields) form.append(field, value instanceof Blob ? value : String(value));
  const repeatable = fields.some(([field]) => field === "request_id");
  return send(`/v1/${name.toLowerCase()}`, { method: "POST", body: form }, SAFE.has(name) || repeatable, signal);
}

async function send(path, init, repeatable, signal, onLost) {
  for (;;) {
    try {
      return await once(path, init, signal);
    } catch (error) {
      if (!(error instanceof CallError) || error.code !== "unavailable") throw error;
      const wait = connection.lost(error.message, needed(path, error.reason));
      if (onLost) {
        onLost(wait);
        throw error;
      }
      if (!repeatable) {
        throw new CallError(`${error.message}. It is not known whether the change was made: look before you repeat it.`, error);
      }
      await wait(signal);
    }
  }
}

/** The services to wait for after a call that found none ready; the matcher's own calls may have missed the encoder. */
function needed(path, reason) {
  const called = Object.values(SERVICES).find((service) => path.startsWith(`/${service}/`)) ?? SERVICES.MatcherService;
  return reason === "UNREACHABLE" ? [called] : Object.values(SERVICES);
}

async function once(path, init, signal) {
  const headers = { ...init.headers, ...(csrfToken ? { "x-csrf-token": csrfToken } : {}) };
  const response = await fetch(path, { ...init, headers, signal, credentials: "same-origin" })
    .catch((error) => { throw interrupted(error); });
  const requestId = response.headers.get("x-request-id") ?? "";
  const answer = await response.json().catch((error) => {
    if (response.ok || error.name === "AbortError") throw interrupted(error); // else it is no error of the gateway's own
    return {};
  });
  if (response.ok) {
    connection.found();
    return answer;
  }
  const error = toError(answer, response, requestId);
  if (error.code === "unauthenticated") onUnauthenticated(error);
  throw error;
}

/** Why an answer did not arrive whole: its call was given up, or the connection was lost. */
function interrupted(error) {
  if (error.name === "AbortError") return error;
  return new CallError("the gateway does not answer", { code: "unavailable", reason: "UNREACHABLE" });
}

function toError(answer, response, requestId) {
  const details = answer.details ?? [];
  const of = (type) => details.find((detail) => detail.type === `google.rpc.${type}`)?.debug ?? {};
  return new CallError(answer.message || `the gateway answered HTTP ${response.status}`, {
    code: answer.code ?? "unknown",
    reason: of("ErrorInfo").reason ?? "",
    metadata: of("ErrorInfo").metadata ?? {},
    field: of("BadRequest").fieldViolations?.[0]?.field ?? "",
    retryAfterSeconds: Number(response.headers.get("retry-after") ?? 0),
    requestId,
  });
}
