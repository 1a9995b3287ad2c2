/** What a reviewer decides, each with what takes it back. */

import { h } from "../../dom.js";
import { ask } from "../../parts/dialog.js";
import { callShown } from "../../parts/shown_call.js";

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
    said: `${personIdA} and ${personIdB} are different people`,
    undo: () => callShown("CollectionService/DismissDuplicate", { ...request, restore: true }, context),
  };
}

/**
 * Merge a person into another.
 *
 * @param {string} sourcePersonId
 * @param {string} targetPersonId Who is kept.
 * @param {import("../../main.js").Context} context
 * @returns {ReturnType<import("./queue.js").Choice["act"]>}
 */
export async function merge(sourcePersonId, targetPersonId, context) {
  const asked = await ask(`Merge ${sourcePersonId} into ${targetPersonId}?`, [
    h("p", {}, `The faces are given to ${targetPersonId}, who keeps their name, labels and metadata; ${sourcePersonId} is erased. `,
      "Taken back, the faces return to the id, without its name, labels and metadata."),
  ], { action: "Merge" });
  if (!asked) return null;
  const request = { collectionId: context.collectionId, sourcePersonId, targetPersonId };
  const { movedFaceIds } = await callShown("MatcherService/MergePersons", request, context);
  return {
    said: `${sourcePersonId} is merged into ${targetPersonId}`,
    undo: movedFaceIds.length ? () => move(movedFaceIds, sourcePersonId, context) : undefined,
  };
}

/**
 * Move a face to another person.
 *
 * @param {string} faceId
 * @param {string} fromPersonId
 * @param {string} toPersonId
 * @param {import("../../main.js").Context} context
 * @returns {ReturnType<import("./queue.js").Choice["act"]>}
 */
export async function moveFace(faceId, fromPersonId, toPersonId, context) {
  await move([faceId], toPersonId, context);
  return { said: `The face is ${toPersonId}'s`, undo: () => move([faceId], fromPersonId, context) };
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
  const asked = await ask("Erase the face?", [h("p", {}, "This cannot be taken back.")], { action: "Erase", danger: true });
  if (!asked) return null;
  await callShown("MatcherService/DeleteFace", { collectionId: context.collectionId, faceId }, context);
  return { said: "The face is erased" };
}
