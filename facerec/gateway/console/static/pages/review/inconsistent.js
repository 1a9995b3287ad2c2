/** Inconsistent faces. */

import { h } from "../../dom.js";
import { distanceBar } from "../../parts/distance_bar.js";
import { dismiss, eraseFace, merge, moveFace } from "./decisions.js";
import { showQueue } from "./list.js";
import { faceLine, personColumn, readFaces, readPersons } from "./persons.js";

const LIST = { method: "ListInconsistentFaces", items: "faces", examined: "facesExamined", noun: "face" };

/** What the service suggests, and the key of the choice that does it. */
const SUGGESTIONS = {
  CORRECTION_SUGGESTION_MOVE_FACE: (face) => `The face is probably ${face.otherPersonId}'s: move it.`,
  CORRECTION_SUGGESTION_MOVE_OTHER_FACE: (face) => `The other face is probably ${face.personId}'s: move that one.`,
  CORRECTION_SUGGESTION_MERGE_PERSONS: () => "Both are probably one person: merge them.",
  CORRECTION_SUGGESTION_REVIEW: () => "The distances alone do not say what is wrong.",
};

/**
 * Show the inconsistent faces of a collection.
 *
 * @param {HTMLElement} root Where.
 * @param {import("../../main.js").Context} context
 */
export async function showInconsistent(root, context) {
  await showQueue(root, LIST, context, (face, threshold) => showFace(face, threshold, context));
}

async function showFace(face, threshold, context) {
  const { personId, otherPersonId } = face;
  const { [personId]: own, [otherPersonId]: other } = await readPersons([personId, otherPersonId], context);
  const owners = [[face.faceId, personId], [face.ownFaceId, personId], [face.otherFaceId, otherPersonId]];
  const faces = own && other && await readFaces(owners, context);
  if (!faces) return null;
  const [line, ownLine, otherLine] = faces.map(faceLine);
  return {
    body: h("div", {},
      h("h2", {}, `Whose is this face of ${personId}?`),
      h("p", {}, SUGGESTIONS[face.suggestion]?.(face) ?? ""),
      h("p", {}, `To the nearest of ${personId}'s other faces:`), distanceBar(face.ownDistance, threshold),
      h("p", {}, `To the nearest of ${otherPersonId}'s:`), distanceBar(face.otherDistance, threshold),
      h("div", { class: "columns" },
        personColumn(own, [["This face", line], ["Nearest other face", ownLine]]),
        personColumn(other, [["Nearest face", otherLine]]))),
    choices: choices(face, own, other, context),
  };
}

function choices(face, own, other, context) {
  const { personId: ownId, otherPersonId: otherId } = face;
  const may = (method) => context.access.may(method);
  return [
    may("MoveFaces") && { key: "m", text: `It is ${otherId}'s`, act: () => moveFace(face.faceId, own, other, context) },
    may("MoveFaces") && { key: "o", text: `The other face is ${ownId}'s`, act: () => moveFace(face.otherFaceId, other, own, context) },
    may("MergePersons") && { key: "1", text: `One person: keep ${ownId}`, act: () => merge(other, own, context) },
    may("MergePersons") && { key: "2", text: `One person: keep ${otherId}`, act: () => merge(own, other, context) },
    may("DismissDuplicate") && { key: "d", text: "Different people, rightly enrolled", act: () => dismiss(ownId, otherId, context) },
    may("DeleteFace") && { key: "e", text: "Erase this face", danger: true, act: () => eraseFace(face.faceId, context) },
  ].filter(Boolean);
}
