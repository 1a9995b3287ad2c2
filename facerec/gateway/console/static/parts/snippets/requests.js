/** What the languages need to know of a call: its service, and where its photos belong in the request. */

/** Code that is written as it is, among values that are quoted. */
export class Code {
  /** @param {string} text */
  constructor(text) {
    this.text = text;
  }
}

/** The services by their short names: full names, and the addresses that they have unless they were given others. */
export const SERVICES = {
  MatcherService: { name: "facerec.matcher.v1.MatcherService", address: "127.0.0.1:50052" },
  CollectionService: { name: "facerec.matcher.v1.CollectionService", address: "127.0.0.1:50052" },
  EncoderService: { name: "facerec.encoder.v1.EncoderService", address: "127.0.0.1:50051" },
};

/**
 * A name in camel case as the contract writes it.
 *
 * @param {string} name
 * @returns {string}
 */
export function snake(name) {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/**
 * A call's request with its photos, in the fields that the contract has for them.
 *
 * @param {import("../snippets.js").Call} call
 * @param {(name: string, options: Object) => any} toProbe The probe of a file, with the options of a probe.
 * @returns {Object}
 */
export function withPhotos({ method, request, photos = [] }, toProbe) {
  if (!photos.length) return request;
  const { probe, probes, items, ...others } = request;
  const at = (list, index) => list?.[index] ?? list?.[0];
  const all = photos.map((photo, index) => toProbe(photo.name, at(probes, index) ?? probe ?? at(items, index)?.probe ?? {}));
  switch (method.split("/")[1]) {
    case "Enroll":
      return { ...others, items: all.map((each, index) => ({ ...at(items, index), probe: each })) };
    case "Verify":
      return { ...others, ...(all.length > 1 ? { probes: all } : { probe: all[0] }) };
    case "Compare":
      return { ...others, ...Object.fromEntries(photos.map(({ field, name }) => {
        const side = field === "image_a" ? "probeA" : "probeB";
        return [side, toProbe(name, request[side] ?? {})];
      })) };
    default:
      return { ...others, probes: all };
  }
}
