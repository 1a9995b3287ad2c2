/** Who the faces of a picture are, as a list beside it. */

import { h } from "../../dom.js";
import { thumbnail } from "../../parts/boxes.js";
import { distanceBar } from "../../parts/distance_bar.js";
import * as format from "../../parts/format.js";
import { personAddress } from "../../parts/people.js";
import { qualityLine, withoutScores } from "./mode.js";

const MODES = {
  SEARCH_MODE_EXACT: "all there are",
  SEARCH_MODE_INDEX: "those that the index proposed",
  SEARCH_MODE_INDEX_CONFIRMED: "all there are, after the index was asked",
};

/**
 * The name of the first candidate to show; an empty text for nobody.
 *
 * @param {Object} face An IdentifiedFace.
 * @returns {string}
 */
export function nameOf(face) {
  const [first] = face.candidates;
  return first ? first.displayName || first.personId : "";
}

/**
 * The faces of an answer.
 *
 * @param {Object} answer An IdentifyResponse.
 * @param {import("../../main.js").Context} context
 * @param {{image?: HTMLImageElement|null, highlight?: (index: number|null) => void,
 *   actions?: (face: Object, index: number) => any}} options The picture where the browser shows it, what is told which
 *   face the reader looks at, and more elements for a face.
 * @returns {HTMLElement}
 */
export function faceList(answer, context, { image = null, highlight = () => {}, actions = () => null } = {}) {
  const items = answer.faces.map((face, index) => h("li", {
    class: "face card", tabindex: 0, onpointerenter: () => highlight(index), onpointerleave: () => highlight(null),
    onfocusin: () => highlight(index), onfocusout: () => highlight(null),
  },
  image && face.boundingBox && thumbnail(image, face.boundingBox),
  h("div", { class: "about" }, about(face, index, answer, context), actions(face, index))));
  return h("div", {}, h("ol", { class: "faces" }, items), footnote(answer, context));
}

function about(face, index, answer, { access }) {
  const number = answer.faces.length > 1 ? `${index + 1}. ` : "";
  const name = nameOf(face);
  return [
    h("h3", {}, number, name || "Nobody who is enrolled"),
    face.matchedPersons > 1 && h("p", { class: "hint" }, `${format.count(face.matchedPersons)} persons are within the threshold: look which it is.`),
    face.candidates.length > 0 && h("ul", { class: "candidates" }, face.candidates.map((candidate) => (
      candidateItem(candidate, answer.threshold, access, face.candidates.length > 1)))),
    qualityLine(face.quality),
    searched(face),
  ];
}

function candidateItem(candidate, threshold, access, isOneOfSeveral) {
  const { personId, displayName, distance } = candidate;
  const id = access.may("GetPerson") ? h("a", { href: personAddress(personId) }, personId) : personId;
  return h("li", {},
    h("p", {}, isOneOfSeveral && displayName && [h("b", {}, displayName), " "], h("span", { class: "hint" }, "Id "), id),
    distance !== undefined && distanceBar(distance, threshold));
}

function searched(face) {
  if (!MODES[face.mode]) return null;
  const exact = face.exact ? "." : ". A nearer face may have been missed.";
  return h("p", { class: "hint" }, `Compared with ${format.counted(face.facesSearched, "stored face")}, ${MODES[face.mode]}${exact}`);
}

function footnote(answer, { access }) {
  const expected = answer.expectedFalsePositives;
  const high = answer.expectedFalsePositivesHigh;
  return [
    withoutScores(access),
    expected !== undefined && h("p", { class: "hint" },
      `For somebody who is not enrolled, ${number(expected)} false matches are to be expected at this threshold`,
      high !== undefined && ` (at most ${number(high)}, with 95 % confidence)`, ", by the collection's calibration."),
  ];
}

function number(value) {
  return Number(value) === 0 ? "0" : Number(Number(value).toPrecision(2)).toString();
}
