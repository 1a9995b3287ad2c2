import type { MessageInitShape } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import type { Client, Transport } from "@connectrpc/connect";
import { withPolicy } from "./calls.js";
import type { CallOptions } from "./calls.js";
import { EncoderService } from "./gen/facerec/encoder/v1/encoder_pb.js";
import { CollectionService, MatcherService } from "./gen/facerec/matcher/v1/matcher_pb.js";
import type { ProbeSchema } from "./gen/facerec/matcher/v1/matcher_pb.js";

/** The clients of all services. Each method of the contract is one of theirs, in lowerCamelCase. */
export interface Facerec {
  /** Images to encodings. */
  readonly encoder: Client<typeof EncoderService>;
  /** Decisions, people and their faces. */
  readonly matcher: Client<typeof MatcherService>;
  /** Collections, their settings and what is about a whole one. */
  readonly collections: Client<typeof CollectionService>;
}

/**
 * Clients over transports of your own.
 *
 * @param transports What reaches the encoder and the matcher.
 * @param options The key and the deadline of each call.
 */
export function clientsOver(transports: { encoder: Transport; matcher: Transport }, options: CallOptions = {}): Facerec {
  const matcher = withPolicy(transports.matcher, options);
  return {
    encoder: createClient(EncoderService, withPolicy(transports.encoder, options)),
    matcher: createClient(MatcherService, matcher),
    collections: createClient(CollectionService, matcher),
  };
}

/**
 * The face in a photo, as a request's `probe`.
 *
 * @param bytes The bytes of an image file.
 * @param options.useLargestFace Takes the largest of several faces; else such a photo is refused as FACE_AMBIGUOUS.
 */
export function photo(
  bytes: Uint8Array | ArrayBuffer,
  options: { useLargestFace?: boolean } = {},
): MessageInitShape<typeof ProbeSchema> {
  const value = bytes instanceof Uint8Array ? bytes : new Uint8Array(bytes);
  return { face: { case: "image", value }, useLargestFace: options.useLargestFace ?? false };
}
