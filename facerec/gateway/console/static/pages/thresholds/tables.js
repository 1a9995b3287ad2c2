/** The tables of a calibration: groups, claims of several photos, and searches. */

import { h } from "../../dom.js";
import * as format from "../../parts/format.js";
import { table } from "../../parts/table.js";
import { SCORE_RULES, inPageWords, rate, searchNeeds } from "./words.js";

const ONE_THRESHOLD = {
  ONE_THRESHOLD_SERVES: "One threshold serves all groups: the false match rate within each is at most the target.",
  ONE_THRESHOLD_EXCEEDED: "Within a group more people match falsely than the target allows.",
  ONE_THRESHOLD_UNDECIDED: "Too little was measured to say whether one threshold serves all groups.",
};

/**
 * The rates of people by a label; null where none were asked for.
 *
 * @param {Object} calibration The contract's Calibration.
 * @returns {HTMLElement|HTMLElement[]|null}
 */
export function groupsTable(calibration) {
  if (!calibration.groups?.length) return null;
  const rows = calibration.groups.map((group) => [
    group.value ?? "without the label", format.count(group.persons), group.fmr ? rate(group.fmr) : inPageWords(group.needs),
    rate(group.fnmr), group.ownThreshold === undefined ? "" : format.distance(group.ownThreshold),
    group.exceedsTarget ? h("strong", { class: "bad" }, "exceeds the target") : "",
  ]);
  const differing = (calibration.betweenGroups ?? []).filter((pair) => pair.fmrDiffers || pair.fnmrDiffers);
  return h("section", {},
    h("h2", {}, "Groups"),
    h("p", {}, ONE_THRESHOLD[calibration.oneThresholdServes] ?? ""),
    table("Error rates by group", ["Group", "People", "False match rate", "False non-match rate", "Own threshold", "Target"], rows),
    differing.length > 0 && h("ul", {}, differing.map((pair) => h("li", {},
      `${name(pair.valueA)} and ${name(pair.valueB)} differ in their ${[pair.fmrDiffers && "false match rate", pair.fnmrDiffers && "false non-match rate"].filter(Boolean).join(" and ")}.`))),
    calibration.omittedGroups > 0 && h("p", { class: "hint" }, `${format.counted(calibration.omittedGroups, "group")} of fewer than 20 people left out.`));
}

function name(value) {
  return value ?? "people without the label";
}

/**
 * The rates of claims by the number of photos; null where none were asked for.
 *
 * @param {Object} calibration The contract's Calibration.
 * @returns {HTMLElement|HTMLElement[]|null}
 */
export function claimsTable(calibration) {
  if (!calibration.scores?.length) return null;
  return h("section", {},
    h("h2", {}, "Claims of several photos"),
    table("Error rates of claims", ["Score", "Photos", "People", "Threshold", "False match rate", "False non-match rate"],
      calibration.scores.map((each) => [
        SCORE_RULES[each.scoreRule] ?? each.scoreRule, each.photos, format.count(each.persons),
        each.point ? format.distance(each.point.threshold) : "", rate(each.point?.fmr), rate(each.point?.fnmr),
      ])));
}

/**
 * The thresholds of searches by their false positive identification rate.
 *
 * @param {Object} calibration The contract's Calibration.
 * @returns {HTMLElement|HTMLElement[]|null}
 */
export function searchesTable(calibration) {
  if (!calibration.searches?.length) return null;
  return h("section", {},
    h("h2", {}, "Searches"),
    table("Error rates of searches", ["Target FPIR", "Threshold", "FPIR", "FNIR"], calibration.searches.map((each) => [
      format.percent(each.targetFpir),
      each.threshold === undefined ? searchNeeds(each.needs) : format.distance(each.threshold),
      each.fpir ? rate(each.fpir) : "", each.fnir ? rate(each.fnir) : "",
    ])));
}
