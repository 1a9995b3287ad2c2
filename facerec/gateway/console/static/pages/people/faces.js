/** The stored faces of a person. */

import { h } from "../../dom.js";
import { actionButton } from "../../parts/actions.js";
import { ask } from "../../parts/dialog.js";
import * as format from "../../parts/format.js";
import { qualityInWords } from "../../parts/messages.js";
import { personAddress } from "../../parts/people.js";
import { callShown } from "../../parts/shown_call.js";
import { moveWarning } from "../../parts/suspension.js";
import { table } from "../../parts/table.js";
import { targetField } from "../../parts/target.js";

/**
 * The table of some of a person's faces.
 *
 * @param {Object[]} faces
 * @param {Object} person Whose they are.
 * @param {import("../../main.js").Context} context
 * @param {(said: any) => Promise<void>} done Shows the person again, with what was done.
 * @returns {HTMLElement}
 */
export function facesTable(faces, person, context, done) {
  if (!faces.length) return h("p", { class: "notice" }, "No face is stored.");
  return table("Faces", ["Face", "Quality at enrollment", "Enrolled", "Expires", "Reference", "Change"], faces.map((face) => [
    h("code", { title: face.faceId }, face.faceId.slice(0, 8)),
    qualityInWords(face.quality) || "not known",
    format.time(face.createTime),
    format.time(face.expireTime) || "never",
    face.externalRef || "",
    h("div", { class: "row" },
      context.access.may("MoveFaces") && actionButton("Move", () => move(face, person, context, done), { "aria-label": `Move face ${face.faceId.slice(0, 8)}` }),
      context.access.may("DeleteFace") && actionButton("Erase", () => erase(face, person, context),
        { class: "danger", "aria-label": `Erase face ${face.faceId.slice(0, 8)}` })),
  ]));
}

async function move(face, person, context, done) {
  const target = targetField(context, "Id of that person", (found, id) => moveWarning(person, found, id));
  const act = async (fields) => {
    const targetPersonId = fields.get("target").trim();
    if (!await target.isAgreed(targetPersonId)) return null;
    await callShown("MatcherService/MoveFaces", { collectionId: context.collectionId, faceIds: [face.faceId], targetPersonId }, context);
    return targetPersonId;
  };
  const personId = await ask("Move the face to another person", [target.root], { action: "Move", act });
  if (!personId) return undefined;
  await done(["The face is moved to ", h("a", { href: personAddress(personId) }, personId), "."]);
  return `The face is moved to ${personId}`;
}

async function erase(face, person, context) {
  const isLast = person.faceCount === 1;
  const request = { collectionId: context.collectionId, faceId: face.faceId };
  const done = await ask("Erase the face?", [
    h("p", {}, isLast ? "It is the last face: no claim about the person matches until another is enrolled." : "This cannot be taken back."),
  ], { action: "Erase", danger: true, act: () => callShown("MatcherService/DeleteFace", request, context) });
  if (done) context.refresh();
}
