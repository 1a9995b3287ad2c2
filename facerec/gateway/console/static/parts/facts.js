/** Names with their values. */

import { h } from "../dom.js";

/**
 * A list of names with values; those without a value are left out.
 *
 * @param {Array<[string, Node|string|number|Array|null|undefined|false]>} rows
 * @returns {HTMLElement}
 */
export function facts(rows) {
  const known = rows.filter(([, value]) => value !== null && value !== undefined && value !== false && value !== "" && value.length !== 0);
  return h("dl", {}, known.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
}

/**
 * Whether something is as it should be, in a word and a color.
 *
 * @param {boolean} isGood
 * @param {string} good The word where it is.
 * @param {string} bad The word where it is not.
 * @returns {HTMLElement}
 */
export function state(isGood, good, bad) {
  return h("strong", { class: isGood ? "good" : "bad" }, isGood ? good : bad);
}
