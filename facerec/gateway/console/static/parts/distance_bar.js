/** A distance against the threshold that decided, as a bar. */

import { h } from "../dom.js";
import * as format from "./format.js";

const LONGEST = 1.2;

/**
 * @param {number|undefined} value The distance; undefined where the caller may not see it.
 * @param {number} threshold The largest distance that is a match.
 * @returns {HTMLElement}
 */
export function distanceBar(value, threshold) {
  if (value === undefined) return h("span", { class: "hint" }, "The key does not show distances.");
  const match = value <= threshold;
  const share = (each) => Math.min(100, (each / LONGEST) * 100);
  return h("div", { class: `distance ${match ? "match" : "no-match"}` },
    h("meter", {
      min: 0, max: LONGEST, low: threshold, high: threshold, optimum: 0, value: Math.min(LONGEST, value),
      "aria-label": `distance ${format.distance(value)}, threshold ${format.distance(threshold)}`,
    }),
    markAt(share(threshold)),
    h("span", {}, `distance ${format.distance(value)} ${match ? "≤" : ">"} threshold ${format.distance(threshold)}`));
}

/** A mark on the bar. Its place is set by script, as the policy of the page allows no inline style. */
function markAt(percent) {
  const mark = h("span", { class: "mark", "aria-hidden": "true" });
  mark.style.setProperty("--at", `${percent}%`);
  return mark;
}
