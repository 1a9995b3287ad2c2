/** What a threshold would have done with the pairs that were measured. */

import { h } from "../../dom.js";
import * as format from "../../parts/format.js";
import { rate } from "./words.js";

const BIN = 0.005;

/**
 * What a threshold would have done.
 *
 * @param {Object} calibration The contract's Calibration.
 * @param {number} threshold
 * @returns {HTMLElement}
 */
export function outcome(calibration, threshold) {
  const point = nearest(calibration.curve, threshold);
  const matchedImpostors = within(calibration.impostorCounts, threshold);
  const missedGenuine = total(calibration.genuineCounts) - within(calibration.genuineCounts, threshold);
  return h("ul", {},
    h("li", {}, `At ${format.distance(threshold)}, ${format.count(matchedImpostors)} of ${format.count(total(calibration.impostorCounts))} `,
      "pairs of different people would have matched",
      point && `: a false match rate of ${rate(point.fmr)}.`),
    h("li", {}, `${format.count(missedGenuine)} of ${format.count(total(calibration.genuineCounts))} pairs of one person would not`,
      point?.fnmr ? `: a false non-match rate of ${rate(point.fnmr)}.` : "."),
    point && h("li", {}, `Identify would have ${point.expectedFalsePositives.toPrecision(2)} false positives for an unenrolled probe at this size, at most.`));
}

function nearest(curve, threshold) {
  return curve.find((point) => Math.abs(point.threshold - threshold) < BIN / 2);
}

function total(counts) {
  return counts.reduce((sum, each) => sum + Number(each), 0);
}

/** The pairs in the bins that end at the threshold or before. */
function within(counts, threshold) {
  return total(counts.slice(0, Math.round(threshold / BIN)));
}
