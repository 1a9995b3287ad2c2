/** What a calibration has, in words. */

import * as format from "../../parts/format.js";

/** The rules by which several photos are scored, by the name of the contract's ScoreRule. */
export const SCORE_RULES = {
  SCORE_RULE_NEAREST: "the nearest stored face",
  SCORE_RULE_ROOT_MEAN_SQUARE: "the root mean square over the stored faces",
};

/** What the page calls the fields of a calibration's request. */
export const FIELDS = {
  targetFmr: "Largest false match rate of Verify",
  targetFalsePositives: "Largest expected number of false positives of Identify",
  maxPersons: "People to compare, at most",
};

/** How the service names those fields in its advice, and how the page does. */
const ADVICE = [
  [/ask for (?:a )?target_false_positives of (\S+) or more/g, `enter $1 or more as “${FIELDS.targetFalsePositives}”`],
  [/ask for (?:a )?target_fmr of (\S+) or more/g, `enter $1 or more as “${FIELDS.targetFmr}”`],
  [/ask for a larger target_fmr/g, `enter more as “${FIELDS.targetFmr}”`],
  [/set max_persons to (\d+)/g, `enter $1 as “${FIELDS.maxPersons}”`],
  [/\btarget_false_positives\b/g, `“${FIELDS.targetFalsePositives}”`],
  [/\btarget_fmr\b/g, `“${FIELDS.targetFmr}”`],
  [/\bmax_persons\b/g, `“${FIELDS.maxPersons}”`],
  [/merge those that ListDuplicates finds/g, "merge those that the page Review shows"],
];

/**
 * A text of the service with the names that the page has for its fields.
 *
 * @param {string} text
 * @returns {string}
 */
export function inPageWords(text) {
  return ADVICE.reduce((changed, [pattern, words]) => changed.replace(pattern, words), text);
}

/**
 * What it takes to measure searches, short for a cell of a table.
 *
 * @param {string} needs The contract's SearchRates.needs.
 * @returns {string}
 */
export function searchNeeds(needs) {
  const found = /requires (\d+) persons as probes; (\d+) were drawn/.exec(needs);
  if (!found) return inPageWords(needs);
  return `too few people: ${format.count(found[1])} are needed, ${format.count(found[2])} were compared`;
}

/**
 * A rate with its interval.
 *
 * @param {{value: number, low: number, high: number}} [found] Missing where too few faces were measured.
 * @returns {string}
 */
export function rate(found) {
  return found ? format.interval(found) : "not known: too few faces";
}
