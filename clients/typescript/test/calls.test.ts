import assert from "node:assert/strict";
import * as http from "node:http";
import * as http2 from "node:http2";
import type { AddressInfo, Server, Socket } from "node:net";
import { test } from "node:test";
import { Code, ConnectError, createRouterTransport } from "@connectrpc/connect";
import type { ConnectRouter, HandlerContext } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { FacerecError, clientsOver, createFacerec, photo } from "../src/index.js";
import { EncoderService } from "../src/gen/encoder.js";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "../src/gen/google/rpc/error_details_pb.js";
import { CollectionService, MatcherService } from "../src/gen/matcher.js";
import { createFacerec as createOverGrpc } from "../src/node.js";

interface Refusal {
  code: Code;
  domain?: string;
  reason?: string;
  field?: string;
  retryMs?: number;
}

function refusal({ code, domain = "facerec.internal", reason, field, retryMs }: Refusal): ConnectError {
  const error = new ConnectError("refused", code);
  if (reason) {
    error.details.push({ desc: ErrorInfoSchema, value: { domain, reason, metadata: { person_id: "bob" } } });
  }
  if (field) error.details.push({ desc: BadRequestSchema, value: { fieldViolations: [{ field }] } });
  if (retryMs) {
    error.details.push({ desc: RetryInfoSchema, value: { retryDelay: { seconds: BigInt(Math.floor(retryMs / 1000)), nanos: (retryMs % 1000) * 1e6 } } });
  }
  return error;
}

/** A matcher that fails as told before it answers, and the calls that it saw. */
function matcherFailing(...failures: Refusal[]) {
  const seen: HandlerContext[] = [];
  const answer = (_: unknown, context: HandlerContext) => {
    seen.push(context);
    const failure = failures[seen.length - 1];
    if (failure) throw refusal(failure);
    return {};
  };
  const transport = createRouterTransport((router: ConnectRouter) => {
    router.service(MatcherService, { verify: answer, mergePersons: answer });
    router.service(CollectionService, { createCollection: answer });
    router.service(EncoderService, {});
  });
  return { seen, ...clientsOver({ encoder: transport, matcher: transport }, { apiKey: "secret" }) };
}

async function failure(call: Promise<unknown>): Promise<FacerecError> {
  const error = await call.then(
    () => assert.fail("the call succeeded"),
    (caught: unknown) => caught,
  );
  assert.ok(error instanceof FacerecError);
  return error;
}

const UNAVAILABLE = { code: Code.Unavailable };

test("a safe call is sent again until the service is available, each time with its key and one request id", async () => {
  const { seen, matcher } = matcherFailing(UNAVAILABLE, UNAVAILABLE);
  await matcher.verify({ personId: "ann" });
  assert.equal(seen.length, 3);
  assert.deepEqual(new Set(seen.map((call) => call.requestHeader.get("authorization"))), new Set(["Bearer secret"]));
  const ids = new Set(seen.map((call) => call.requestHeader.get("x-request-id")));
  assert.equal(ids.size, 1);
  assert.match([...ids][0]!, /^[0-9a-f]{32}$/);
});

test("a call is sent four times at most", async () => {
  const { seen, matcher } = matcherFailing(UNAVAILABLE, UNAVAILABLE, UNAVAILABLE, UNAVAILABLE);
  const error = await failure(matcher.verify({}));
  assert.equal(seen.length, 4);
  assert.deepEqual([error.code, error.reason], [Code.Unavailable, "UNREACHABLE"]);
});

test("a call that is not safe to repeat is sent once", async () => {
  for (const call of ["createCollection", "mergePersons"] as const) {
    const { seen, matcher, collections } = matcherFailing(UNAVAILABLE);
    await failure(call === "mergePersons" ? matcher.mergePersons({}) : collections.createCollection({}));
    assert.equal(seen.length, 1, call);
  }
});

test("the delay that a service names is waited for", async () => {
  const { matcher } = matcherFailing({ code: Code.ResourceExhausted, reason: "OVERLOADED", retryMs: 300 });
  const begun = performance.now();
  await matcher.verify({});
  assert.ok(performance.now() - begun >= 300);
});

test("a delay beyond the deadline fails the call at once, with its reason", async () => {
  const { seen, matcher } = matcherFailing({ code: Code.ResourceExhausted, reason: "RATE_LIMITED", retryMs: 900_000 });
  const error = await failure(matcher.verify({}, { timeoutMs: 60_000 }));
  assert.equal(seen.length, 1);
  assert.deepEqual([error.reason, error.retryAfterMs], ["RATE_LIMITED", 900_000]);
});

test("a refusal is not repeated, and has its reason, field, metadata and request id", async () => {
  const { seen, matcher } = matcherFailing({ code: Code.NotFound, reason: "PERSON_NOT_FOUND", field: "person_id" });
  const error = await failure(matcher.verify({}, { headers: { "x-request-id": "door-7" } }));
  assert.equal(seen.length, 1);
  assert.deepEqual(
    [error.code, error.reason, error.field, error.requestId, error.message],
    [Code.NotFound, "PERSON_NOT_FOUND", "person_id", "door-7", "refused"],
  );
  assert.deepEqual(error.metadata, { person_id: "bob" });
  assert.ok(error.cause instanceof ConnectError);
});

test("an error of another domain has no reason", async () => {
  const { matcher } = matcherFailing({ code: Code.Internal, domain: "proxy.example", reason: "INTERNAL" });
  assert.equal((await failure(matcher.verify({}))).reason, "");
});

test("a cancelled call is not sent again", async () => {
  const { seen, matcher } = matcherFailing({ ...UNAVAILABLE, retryMs: 900 });
  const controller = new AbortController();
  const failed = failure(matcher.verify({}, { signal: controller.signal }));
  while (seen.length === 0) await new Promise(setImmediate);
  controller.abort();
  assert.equal((await failed).code, Code.Canceled);
  assert.equal(seen.length, 1);
});

test("a call that gets no answer in time is DEADLINE_EXCEEDED", async () => {
  const transport = createRouterTransport((router) => {
    router.service(MatcherService, { verify: () => new Promise(() => {}) });
  });
  const { matcher } = clientsOver({ encoder: transport, matcher: transport }, { timeoutMs: 50 });
  assert.equal((await failure(matcher.verify({}))).reason, "DEADLINE_EXCEEDED");
});

test("an error in a stream has its reason", async () => {
  const transport = createRouterTransport((router) => {
    router.service(MatcherService, {
      async *exportFaces() {
        yield { space: "dlib" };
        throw refusal({ code: Code.Unavailable, reason: "STORE_UNAVAILABLE" });
      },
    });
  });
  const { matcher } = clientsOver({ encoder: transport, matcher: transport });
  const spaces: string[] = [];
  const read = async () => {
    for await (const { space } of matcher.exportFaces({})) spaces.push(space);
  };
  assert.equal((await failure(read())).reason, "STORE_UNAVAILABLE");
  assert.deepEqual(spaces, ["dlib"]);
});

test("where nobody listens is UNREACHABLE, by fetch and by gRPC", async () => {
  const overFetch = createFacerec({ baseUrl: "http://127.0.0.1:1" });
  const overGrpc = createOverGrpc({ matcherUrl: "http://127.0.0.1:1" });
  for (const { matcher } of [overFetch, overGrpc]) {
    const error = await failure(matcher.mergePersons({}));
    assert.deepEqual([error.code, error.reason], [Code.Unavailable, "UNREACHABLE"]);
  }
  overGrpc.close();
});

for (const protocol of [http, http2]) {
  const name = protocol === http ? "fetch" : "gRPC";
  test(`a call whose connection is lost is sent again, by ${name}`, { timeout: 20_000 }, async (t) => {
    const sockets: Socket[] = [];
    const answer = connectNodeAdapter({
      routes: (router) => router.service(MatcherService, { verify: () => ({ match: true }) }),
    });
    let calls = 0;
    const loseOthers: typeof answer = (request, response) => {
      calls += 1;
      if (calls === 2) answer(request, response);
      else for (const socket of sockets) socket.destroy();
    };
    const server: Server = protocol === http ? http.createServer(loseOthers) : http2.createServer(loseOthers);
    server.on("connection", (socket: Socket) => sockets.push(socket));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const overGrpc = createOverGrpc({ matcherUrl: url });
    t.after(() => {
      overGrpc.close();
      for (const socket of sockets) socket.destroy();
      server.close();
    });
    const { matcher } = protocol === http ? createFacerec({ baseUrl: url }) : overGrpc;
    assert.equal((await matcher.verify({})).match, true);
    assert.equal((await failure(matcher.mergePersons({}))).reason, "UNREACHABLE");
    assert.equal(calls, 3);
  });
}

test("a key is not sent in plain text to another machine", () => {
  const baseUrl = "http://faces.example:8080";
  assert.throws(() => createFacerec({ baseUrl, apiKey: "secret" }), /plain text/);
  assert.throws(() => createOverGrpc({ encoderUrl: baseUrl, apiKey: "secret" }), /plain text/);
  createFacerec({ baseUrl });
  createFacerec({ baseUrl, apiKey: "secret", plaintextKey: true });
  createFacerec({ baseUrl: "http://[::1]:8080", apiKey: "secret" });
  createFacerec({ baseUrl: "https://faces.example", apiKey: "secret" });
});

test("a photo is the probe of its bytes", () => {
  const face = { case: "image", value: new Uint8Array([1, 2]) };
  assert.deepEqual(photo(new Uint8Array([1, 2]).buffer), { face, useLargestFace: false });
  assert.deepEqual(photo(new Uint8Array([1, 2]), { useLargestFace: true }), { face, useLargestFace: true });
});
