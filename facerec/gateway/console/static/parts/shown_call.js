/** Calls of a page, which it shows as code. */

import { call } from "../rpc.js";

/**
 * Call a method, and show the call as code.
 *
 * @param {string} method Service and method, such as `MatcherService/ListPersons`.
 * @param {Object} request The request in JSON, by the contract's names in camel case.
 * @param {import("../main.js").Context} context
 * @returns {Promise<any>} The answer. Throws CallError, or AbortError where the page is left.
 */
export async function callShown(method, request, context) {
  context.showCall({ method, request });
  return call(method, request, { signal: context.signal });
}
