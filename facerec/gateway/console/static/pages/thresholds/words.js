/** What a calibration has, in words. */

import * as format from "../../parts/format.js";

/** The rules by which several photos are scored, by the name of the contract's ScoreRule. */
export const SCORE_RULES = {
  SCORE_RULE_NEAREST: "the nearest stored face",
  SCORE_RULE_ROOT_MEAN_SQUARE: "the root mean square over the stored faces",
};

/**
 * A rate with its interval.
 *
 * @param {{value: number, low: number, high: number}} [found] Missing where too few faces were measured.
 * @returns {string}
 */
export function rate(found) {
  return found ? format.interval(found) : "not known: too few faces";
}
