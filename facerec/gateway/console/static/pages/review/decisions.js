/** What a reviewer decides, each with what takes it back. */

import { h } from "../../dom.js";
import { ask } from "../../parts/dialog.js";
import { callShown } from "../../parts/shown_call.js";
import { mergeWarning, moveWarning } from "../../parts/suspension.js";

/**
 * Mark two people as different.
 *
 * @param {string} personIdA
 * @param {string} personIdB
 * @param {import("../../main.js").Context} context
 * @returns {ReturnType<import("./queue.js").Choice["act"]>}
 */
export async function dismiss(personIdA, personIdB, context) {
  const request = { collectionId: context.collectionId, personIdA, personIdB };
  await callShown("CollectionService/DismissDuplicate", request, context);
  return {
    said: `${personIdA} and ${personIdB} are different people`, different: true,
    undo: () => callShown("CollectionService/DismissDuplicate", { ...request, restore: true }, context),
  };
}

/**
 * Merge a person into another.
 *
 * @param {Object} source Who is merged.
 * @param {Object} target Who is kept.
 * @param {import("../../main.js").Context} context
 * @returns {ReturnType<import("./queue.js").Choice["act"]>}
 */
export async function merge(source, target, context) {
  const [sourcePersonId, targetPersonId] = [source.personId, target.personId];
  const request = { collectionId: context.collectionId, sourcePersonId, targetPersonId };
  const suspends = mergeWarning(source, target);
  const done = await ask(`Merge ${sourcePersonId} into ${targetPersonId}?`, [
    h("p", {}, `The faces are given to ${targetPersonId}, who keeps their name, labels and metadata; ${sourcePersonId} is erased. `,
      "Taken back, the faces return to the id, without its name, labels and metadata."),
    suspends && h("p", { class: "notice" }, `${suspends} Taking it back resumes nobody.`),
  ], { action: "Merge", act: () => callShown("MatcherService/MergePersons", request, context) });
  if (!done) return null;
  const { movedFaceIds } = done;
  return {
    said: `${sourcePersonId} is merged into ${targetPersonId}`,
    undo: movedFaceIds.length ? () => move(movedFaceIds, sourcePersonId, context) : undefined,
  };
}

/**
 * Move a face to another person.
 *
 * @param {string} faceId
 * @param {Object} from Whose it is.
 * @param {Object} to Who gets it.
 * @param {import("../../main.js").Context} context
 * @returns {ReturnType<import("./queue.js").Choice["act"]>}
 */
export async function moveFace(faceId, from, to, context) {
  const act = () => move([faceId], to.personId, context);
  const suspends = moveWarning(from, to, to.personId);
  const done = suspends ? await ask(`Move the face to ${to.personId}?`, [h("p", { class: "notice" }, suspends)], { action: "Move", act }) : await act();
  if (!done) return null;
  return { said: `The face is ${to.personId}'s`, undo: () => move([faceId], from.personId, context) };
}

function move(faceIds, targetPersonId, context) {
  return callShown("MatcherService/MoveFaces", { collectionId: context.collectionId, faceIds, targetPersonId }, context);
}

/**
 * Erase a face.
 *
 * @param {string} faceId
 * @param {import("../../main.js").Context} context
 * @returns {ReturnType<import("./queue.js").Choice["act"]>}
 */
export async function eraseFace(faceId, context) {
  const act = () => callShown("MatcherService/DeleteFace", { collectionId: context.collectionId, faceId }, context);
  const done = await ask("Erase the face?", [h("p", {}, "This cannot be taken back.")], { action: "Erase", danger: true, act });
  return done && { said: "The face is erased" };
}
