import { createConnectTransport } from "@connectrpc/connect-web";
import type { CallOptions } from "./calls.js";
import { clientsOver } from "./clients.js";
import type { Facerec } from "./clients.js";
import { checkKey } from "./keys.js";
import type { KeyOptions } from "./keys.js";

export { Code } from "@connectrpc/connect";
export type { CallOptions } from "./calls.js";
export { clientsOver, photo } from "./clients.js";
export type { Facerec } from "./clients.js";
export { FacerecError } from "./errors.js";
export type { Reason } from "./errors.js";
export { ErrorReason } from "./gen/facerec/v1/error_reason_pb.js";
export type { KeyOptions } from "./keys.js";

/** How the gateway is reached. */
export interface Options extends CallOptions, KeyOptions {
  /** The gateway's address, such as `https://faces.example:8443`. */
  baseUrl: string;
}

/**
 * The clients of all services, by the gateway's HTTP: in browsers, Node.js and whatever has `fetch`.
 *
 * Streams of requests (`importFaces`, `encodeStream`) are beyond `fetch`: `@facerec/client/node` has them.
 *
 * @throws TypeError if the key would be sent in plain text to another machine.
 */
export function createFacerec(options: Options): Facerec {
  checkKey(options.baseUrl, options);
  const transport = createConnectTransport({ baseUrl: options.baseUrl, useBinaryFormat: true });
  return clientsOver({ encoder: transport, matcher: transport }, options);
}
