/** Thresholds: the error rates measured on a collection, and the thresholds that follow from them. */

import { h, replace } from "../dom.js";
import { call } from "../rpc.js";
import { facts } from "../parts/facts.js";
import * as format from "../parts/format.js";
import { measureForm } from "./thresholds/measure.js";
import { showCalibration } from "./thresholds/calibration.js";

async function render(root, _, context) {
  const request = { collectionId: context.collectionId };
  context.showCall({ method: "CollectionService/GetCollection", request });
  const { collection } = await call("CollectionService/GetCollection", request, { signal: context.signal });
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

const SCORE_RULES = {
  SCORE_RULE_NEAREST: "the nearest stored face",
  SCORE_RULE_ROOT_MEAN_SQUARE: "the root mean square over the stored faces",
};

export default { path: "thresholds", title: "Thresholds", methods: ["GetCollection"], render };
