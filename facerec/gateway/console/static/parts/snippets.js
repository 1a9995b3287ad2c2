/** Calls as code in the languages that the console shows. */

import curl from "./snippets/curl.js";
import grpcurl from "./snippets/grpcurl.js";
import python from "./snippets/python.js";
import typescript from "./snippets/typescript.js";

/**
 * A call as it was made.
 *
 * @typedef {Object} Call
 * @property {string} method Service and method, such as `MatcherService/Verify`.
 * @property {Object} request The request in JSON, by the contract's names in camel case, without its photos. What is said
 *   of a photo is in its probe, such as `{probe: {useLargestFace: true}}`; in a list the first is for all photos.
 * @property {Array<{field: string, name: string, isCutOut?: boolean}>} [photos] The photos: their fields of the short
 *   path, such as `image`, the names of their files, and whether the page has cut them out of others.
 */

const WRITERS = { curl, Python: python, TypeScript: typescript, grpcurl };

const CUT_OUT = "The page has cut the face out of the picture: save it by “Download the cut-out” first.";

/** The languages, as they are shown. */
export const LANGUAGES = Object.keys(WRITERS);

/**
 * A call in a language, as a whole program or command to paste. Texts of the request are quoted, so that the code has
 * them as values whatever they hold. A key is read from the variable FACEREC_API_KEY.
 *
 * @param {Call} call
 * @param {string} language One of LANGUAGES.
 * @param {{origin?: string, keysRequired?: boolean}} options The gateway's address, by default the page's, and whether
 *   calls need a key.
 * @returns {string}
 */
export function snippet(call, language, { origin = globalThis.location?.origin, keysRequired = false } = {}) {
  const code = WRITERS[language](call, { origin, keysRequired });
  const mark = language === "TypeScript" ? "//" : "#";
  return call.photos?.some(({ isCutOut }) => isCutOut) ? `${mark} ${CUT_OUT}\n${code}` : code;
}
