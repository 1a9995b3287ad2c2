/** Thresholds: the error rates measured on a collection, and the thresholds that follow from them. */

import { h, replace } from "../dom.js";
import { facts } from "../parts/facts.js";
import * as format from "../parts/format.js";
import { callShown } from "../parts/shown_call.js";
import { measureForm } from "./thresholds/measure.js";
import { showCalibration } from "./thresholds/calibration.js";
import { SCORE_RULES } from "./thresholds/words.js";

async function render(root, _, context) {
  const request = { collectionId: context.collectionId };
  const { collection } = await callShown("CollectionService/GetCollection", request, context);
  const result = h("div");
  replace(root,
    h("h1", {}, "Thresholds"),
    current(collection),
    context.access.may("Calibrate")
      ? measureForm(collection, context, (calibration) => showCalibration(result, calibration, collection, context))
      : h("p", { class: "notice" }, "Your key may not see distances, so it may not measure error rates."),
    result);
}

function current(collection) {
  const { settings } = collection;
  const rows = [
    ["Verify and Compare", format.distance(settings.verifyThreshold)],
    ["Identify", format.distance(settings.identifyThreshold)],
    ["Duplicates", format.distance(settings.duplicateThreshold)],
    ["Score of several photos", SCORE_RULES[settings.scoreRule] ?? settings.scoreRule],
    ["Evidence", collection.calibrationId ? h("code", {}, collection.calibrationId) : "none: no calibration has been applied"],
  ];
  return [
    h("p", { class: "hint" }, "A match is a distance of at most the threshold."),
    h("div", { class: "card" }, facts(rows)),
  ];
}

export default { path: "thresholds", title: "Thresholds", methods: ["GetCollection"], render };
