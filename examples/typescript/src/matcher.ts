// Calls of the services: their types by protobuf-es, the calls themselves by grpc-js.
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { DescMessage, DescMethodUnary, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import * as grpc from "@grpc/grpc-js";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "../gen/google/rpc/error_details_pb.js";
import { StatusSchema } from "../gen/google/rpc/status_pb.js";

export interface Options {
  key?: string; // of a locked service
  ca?: Buffer; // PEM; plain text without it
  serviceConfig?: string; // JSON: which calls are retried
}

export class Channel {
  readonly #client: grpc.Client;
  readonly #metadata = new grpc.Metadata();

  constructor(address: string, options: Options = {}) {
    const credentials = options.ca ? grpc.credentials.createSsl(options.ca) : grpc.credentials.createInsecure();
    this.#client = new grpc.Client(address, credentials, {
      "grpc.max_send_message_length": 48 << 20,
      "grpc.max_receive_message_length": 48 << 20,
      "grpc.per_rpc_retry_buffer_size": 48 << 20, // a request beyond it is not sent again
      "grpc.keepalive_time_ms": 30_000,
      "grpc.keepalive_timeout_ms": 10_000,
      "grpc.dns_min_time_between_resolutions_ms": 1_000,
      ...(options.serviceConfig && { "grpc.service_config": options.serviceConfig }),
    });
    if (options.key) this.#metadata.set("authorization", `Bearer ${options.key}`);
  }

  call<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    request: MessageInitShape<I>,
    timeoutMs = 10_000,
  ): Promise<MessageShape<O>> {
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(
        `/${method.parent.typeName}/${method.name}`,
        (message: MessageShape<I>) => Buffer.from(toBinary(method.input, message)),
        (bytes: Buffer) => fromBinary(method.output, bytes),
        create(method.input, request),
        this.#metadata,
        { deadline: Date.now() + timeoutMs },
        (error, answer) => (error ? reject(new Refusal(error)) : resolve(answer!)),
      );
    });
  }

  close(): void {
    this.#client.close();
  }
}

/** Why a call failed. */
export class Refusal extends Error {
  readonly code: grpc.status;
  readonly reason: string = ""; // a name of ErrorReason; empty where no service gave one
  readonly field: string = ""; // the path of the invalid field
  readonly retryMs?: number; // how long to wait before another try

  constructor(error: grpc.ServiceError) {
    super(error.details, { cause: error });
    this.code = error.code;
    const [packed] = error.metadata.get("grpc-status-details-bin");
    if (!(packed instanceof Buffer)) return;
    for (const detail of fromBinary(StatusSchema, packed).details) {
      const info = anyUnpack(detail, ErrorInfoSchema);
      if (info?.domain === "facerec.internal") this.reason = info.reason;
      this.field = anyUnpack(detail, BadRequestSchema)?.fieldViolations[0]?.field ?? this.field;
      const delay = anyUnpack(detail, RetryInfoSchema)?.retryDelay;
      if (delay) this.retryMs = Number(delay.seconds) * 1000 + delay.nanos / 1e6;
    }
  }
}
