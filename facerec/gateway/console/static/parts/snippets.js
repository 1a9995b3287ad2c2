/** Calls as code in the languages that the console shows. */

/**
 * A call as it was made.
 *
 * @typedef {Object} Call
 * @property {string} method Service and method, such as `MatcherService/Verify`.
 * @property {Object} request The request in JSON, by the contract's names in camel case, without its photos.
 * @property {Array<{field: string, name: string}>} [photos] The photos: their fields of the short path, such as `image`,
 *   and the names of their files.
 */

/** The languages, as they are shown. */
export const LANGUAGES = ["curl", "Python", "TypeScript", "grpcurl"];

/**
 * A call in a language.
 *
 * @param {Call} call
 * @param {string} language One of LANGUAGES.
 * @returns {string}
 */
export function snippet(call, language) {
  return `${language} ${call.method} ${JSON.stringify(call.request, null, 2)}`;
}
