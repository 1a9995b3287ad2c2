/** The stored faces of a person. */

import { h } from "../../dom.js";
import { actionButton } from "../../parts/actions.js";
import { ask } from "../../parts/dialog.js";
import * as format from "../../parts/format.js";
import { qualityInWords } from "../../parts/messages.js";
import { callShown } from "../../parts/shown_call.js";
import { table } from "../../parts/table.js";

/**
 * The table of some of a person's faces.
 *
 * @param {Object[]} faces
 * @param {Object} person Whose they are.
 * @param {import("../../main.js").Context} context
 * @returns {HTMLElement}
 */
export function facesTable(faces, person, context) {
  if (!faces.length) return h("p", { class: "notice" }, "No face is stored.");
  return table("Faces", ["Face", "Quality at enrollment", "Enrolled", "Expires", "Reference", "Change"], faces.map((face) => [
    h("code", { title: face.faceId }, face.faceId.slice(0, 8)),
    qualityInWords(face.quality) || "not known",
    format.time(face.createTime),
    format.time(face.expireTime) || "never",
    face.externalRef || "",
    h("div", { class: "row" },
      context.access.may("MoveFaces") && actionButton("Move", () => move(face, context), { "aria-label": `Move face ${face.faceId.slice(0, 8)}` }),
      context.access.may("DeleteFace") && actionButton("Erase", () => erase(face, person, context),
        { class: "danger", "aria-label": `Erase face ${face.faceId.slice(0, 8)}` })),
  ]));
}

async function move(face, context) {
  const fields = await ask("Move the face to another person", [
    h("p", {}, "A person who does not exist is added."),
    h("label", { for: "target" }, "Id of that person"),
    h("input", { id: "target", name: "target", maxlength: 128, required: true }),
  ], { action: "Move" });
  if (!fields) return;
  const request = { collectionId: context.collectionId, faceIds: [face.faceId], targetPersonId: fields.get("target") };
  await callShown("MatcherService/MoveFaces", request, context);
  context.refresh();
}

async function erase(face, person, context) {
  const isLast = person.faceCount === 1;
  const fields = await ask("Erase the face?", [
    h("p", {}, isLast ? "It is the last face: no claim about the person matches until another is enrolled." : "This cannot be taken back."),
  ], { action: "Erase", danger: true });
  if (!fields) return;
  const request = { collectionId: context.collectionId, faceId: face.faceId };
  await callShown("MatcherService/DeleteFace", request, context);
  context.refresh();
}
