import { Http2SessionManager, createGrpcTransport } from "@connectrpc/connect-node";
import type { CallOptions } from "./calls.js";
import { clientsOver } from "./clients.js";
import type { Facerec } from "./clients.js";
import { checkKey } from "./keys.js";
import type { KeyOptions } from "./keys.js";

/** How the services are reached. */
export interface NodeOptions extends CallOptions, KeyOptions {
  /** The matcher, such as `https://matcher.example:50052`. Default: `http://127.0.0.1:50052`. */
  matcherUrl?: string | undefined;
  /** The encoder. Default: `http://127.0.0.1:50051`. */
  encoderUrl?: string | undefined;
  /** The CA of the services' certificates, as PEM. Default: those that Node.js trusts. */
  ca?: string | Uint8Array | undefined;
}

/** The clients of all services, over connections that are open until they are closed. */
export interface NodeFacerec extends Facerec {
  /** Closes the connections; calls in flight fail. */
  close(): void;
}

// As docs/clients.md asks of every client.
const KEEPALIVE = { pingIntervalMs: 30_000, pingTimeoutMs: 10_000, pingIdleConnection: true };

/**
 * The clients of all services, by gRPC from Node.js: one HTTP/2 connection to each service, opened by its first call.
 *
 * @throws TypeError if the key would be sent in plain text to another machine.
 */
export function createFacerec(options: NodeOptions = {}): NodeFacerec {
  const { matcherUrl = "http://127.0.0.1:50052", encoderUrl = "http://127.0.0.1:50051", ca } = options;
  const [matcher, encoder] = [connect(matcherUrl, options, ca), connect(encoderUrl, options, ca)];
  return {
    ...clientsOver({ encoder: encoder.transport, matcher: matcher.transport }, options),
    close() {
      for (const each of [matcher, encoder]) each.sessionManager.abort();
    },
  };
}

function connect(baseUrl: string, options: KeyOptions, ca: string | Uint8Array | undefined) {
  checkKey(baseUrl, options);
  const nodeOptions = ca === undefined ? {} : { ca: typeof ca === "string" ? ca : Buffer.from(ca) };
  const sessionManager = new Http2SessionManager(baseUrl, KEEPALIVE, nodeOptions);
  // The services refuse compressed messages, and send none.
  const transport = createGrpcTransport({ baseUrl, sessionManager, acceptCompression: [] });
  return { transport, sessionManager };
}
