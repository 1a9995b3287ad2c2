/** A calibration: its curve, what a threshold would have done, its groups, and applying it. */

import { h, replace } from "../../dom.js";
import { actionButton } from "../../parts/actions.js";
import { ask } from "../../parts/dialog.js";
import * as format from "../../parts/format.js";
import { callShown } from "../../parts/shown_call.js";
import { chart, lastThreshold } from "./chart.js";
import { claimsTable, groupsTable, searchesTable } from "./tables.js";
import { outcome } from "./outcome.js";
import { inPageWords, rate } from "./words.js";

/**
 * Show a calibration.
 *
 * @param {HTMLElement} root Where.
 * @param {Object} calibration The contract's Calibration.
 * @param {Object} collection The contract's Collection.
 * @param {import("../../main.js").Context} context
 */
export function showCalibration(root, calibration, collection, context) {
  const said = h("div", { "aria-live": "polite" });
  const drawn = h("div");
  const show = (threshold) => {
    replace(drawn, chart(calibration.curve, { current: collection.settings.verifyThreshold, chosen: threshold }));
    replace(said, outcome(calibration, threshold));
  };
  const start = calibration.verify?.threshold ?? collection.settings.verifyThreshold;
  replace(root,
    h("h2", {}, "Error rates by threshold"),
    evidence(calibration), drawn,
    h("label", { for: "threshold" }, "Threshold"),
    h("input", {
      id: "threshold", class: "under-chart", type: "range", min: 0, max: lastThreshold(calibration.curve), step: 0.005, value: start,
      oninput: (event) => show(Number(event.target.value)),
    }),
    said,
    proposal(calibration, collection, context),
    groupsTable(calibration), claimsTable(calibration), searchesTable(calibration));
  show(start);
}

function evidence(calibration) {
  return h("p", { class: "hint" },
    `${format.count(calibration.genuinePairs)} pairs of faces of one person, of ${format.counted(calibration.genuinePersons, "person", "people")}; `,
    `${format.count(calibration.impostorPairs)} pairs of faces of different people, of ${format.counted(calibration.impostorPersons, "person", "people")}; `,
    `measured ${format.time(calibration.createTime)}. Bands are 95 % intervals.`);
}

function proposal(calibration, collection, context) {
  const { verify, identify } = calibration;
  const lines = [
    verify && `Verify at ${format.distance(verify.threshold)}: false match rate ${rate(verify.fmr)}, false non-match rate ${rate(verify.fnmr)}.`,
    identify && `Identify at ${format.distance(identify.threshold)}: ${identify.expectedFalsePositives.toPrecision(2)} false positives expected per unenrolled probe at this size, at most.`,
    !identify && calibration.identifyNeeds && `No threshold for Identify: ${inPageWords(calibration.identifyNeeds)}.`,
  ].filter(Boolean);
  return h("section", { class: "card" },
    h("h2", {}, "What follows from the targets"),
    h("ul", {}, lines.map((line) => h("li", {}, line))),
    collection.calibrationId === calibration.calibrationId ? h("p", { class: "good" }, "These thresholds are in use.")
      : context.access.may("ApplyCalibration") && actionButton("Apply these thresholds", () => apply(calibration, collection, context), { class: "primary" }));
}

async function apply(calibration, collection, context) {
  const { verify, identify } = calibration;
  const { settings } = collection;
  const request = { collectionId: collection.collectionId, calibrationId: calibration.calibrationId };
  const done = await ask("Apply these thresholds?", [
    h("ul", {},
      verify && h("li", {}, `Verify: ${format.distance(settings.verifyThreshold)} → ${format.distance(verify.threshold)}`),
      identify && h("li", {}, `Identify: ${format.distance(settings.identifyThreshold)} → ${format.distance(identify.threshold)}`)),
    h("p", {}, "The collection names the calibration as its evidence, and the audit records the change."),
  ], { action: "Apply", act: () => callShown("CollectionService/ApplyCalibration", request, context) });
  if (!done) return undefined;
  context.refresh();
  return "Applied";
}
