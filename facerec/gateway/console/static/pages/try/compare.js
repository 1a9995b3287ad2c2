/** Compare two pictures: whether both show one person. Nobody needs to be enrolled. */

import { h } from "../../dom.js";
import { distanceBar } from "../../parts/distance_bar.js";
import { PhotoInput } from "../../parts/photo_input.js";
import { Answer, largestFaceChoice, qualityLine, send, verdict, withoutScores } from "./mode.js";

const INTRODUCTION = "Both pictures are compared with each other. Nobody needs to be enrolled, and nothing is stored.";

/**
 * The mode.
 *
 * @param {import("../../main.js").Context} context
 * @returns {import("./mode.js").Mode}
 */
export default function compareMode(context) {
  const answer = new Answer(context.signal);
  const make = (label) => new PhotoInput({ label, signal: context.signal, onchange: () => compare() });
  const inputs = [make("First picture"), make("Second picture")];
  const largest = largestFaceChoice(() => compare());

  function compare() {
    const [[a], [b]] = inputs.map((input) => input.photos);
    if (!a || !b) return answer.clear();
    const request = largest.input.checked ? { probe: { useLargestFace: true } } : {};
    return answer.show("Comparing …", async (signal) => {
      const found = await send(context, "Compare", request, [["image_a", a], ["image_b", b]], signal);
      const said = found.match ? "Match: both pictures show one person" : "No match: the pictures show two persons";
      return { shown: shown(found), said };
    });
  }

  function shown(found) {
    return h("div", { class: "card" },
      verdict(found.match, found.match ? "The same person" : "Not the same person"),
      found.distance !== undefined && distanceBar(found.distance, found.threshold),
      qualityLine(found.qualityA, "First picture"), qualityLine(found.qualityB, "Second picture"),
      withoutScores(context.access));
  }

  /** Two files are both pictures; one is for the place that has the focus, else for the first that is empty. */
  function give(files) {
    if (files.length > 1) return inputs.forEach((input, index) => input.give([files[index]]));
    const focused = inputs.find((input) => input.root.contains(document.activeElement));
    return (focused ?? inputs.find((input) => !input.photos.length) ?? inputs[1]).give(files);
  }

  return {
    root: h("div", {}, h("p", { class: "hint" }, INTRODUCTION), h("div", { class: "columns pair" }, inputs.map((input) => input.root)), largest.root, answer.root),
    give, leave: () => inputs.forEach((input) => input.stopCamera()),
  };
}
