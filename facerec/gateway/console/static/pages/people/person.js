/** A person: what is known of them, their faces, and what can be done. */

import { h, replace } from "../../dom.js";
import { call } from "../../rpc.js";
import { actionButton } from "../../parts/actions.js";
import { ask } from "../../parts/dialog.js";
import { facts } from "../../parts/facts.js";
import * as format from "../../parts/format.js";
import { labelTags, personAddress, suspendedTag } from "../../parts/people.js";
import { callShown } from "../../parts/shown_call.js";
import { mergeWarning } from "../../parts/suspension.js";
import { showPages } from "../../parts/table.js";
import { targetField } from "../../parts/target.js";
import { editLabels } from "./labels.js";
import { facesTable } from "./faces.js";
import { erasureAddress } from "./erasure.js";

const FACES_PAGE_SIZE = 50;

/**
 * Show a person.
 *
 * @param {HTMLElement} root Where.
 * @param {string} personId
 * @param {import("../../main.js").Context} context
 * @param {any} [said] What was done last, to show above.
 */
export async function showPerson(root, personId, context, said = null) {
  const names = { collectionId: context.collectionId, personId };
  const back = h("p", {}, h("a", { href: "#/people" }, "All people"));
  const { person } = await call("MatcherService/GetPerson", names, { signal: context.signal }).catch((error) => {
    replace(root, back);
    throw error;
  });
  const faces = h("div");
  replace(root,
    back,
    said && h("p", { class: "notice" }, said),
    h("h1", {}, person.displayName || person.personId, suspendedTag(person)),
    about(person),
    buttons(person, names, context),
    h("h2", {}, "Faces"), faces);
  const request = { ...names, pageSize: FACES_PAGE_SIZE };
  await showPages(faces, async (pageToken) => {
    const answer = await call("MatcherService/ListFaces", { ...request, pageToken }, { signal: context.signal });
    return { items: answer.faces, next: answer.nextPageToken };
  }, (items) => facesTable(items, person, context, (text) => showPerson(root, personId, context, text)));
  context.showCall({ method: "MatcherService/ListFaces", request });
  context.showCall({ method: "MatcherService/GetPerson", request: names });
}

function about(person) {
  return facts([
    ["Id", h("code", {}, person.personId)],
    ["Labels", labelTags(person.labels)],
    ["Metadata", person.metadata && h("code", {}, JSON.stringify(person.metadata))],
    ["Enrolled", format.time(person.createTime)],
    ["Changed", format.time(person.updateTime)],
  ]);
}

function buttons(person, names, context) {
  const may = (method) => context.access.may(method);
  return h("div", { class: "row" },
    may("UpdatePerson") && actionButton("Change name", () => changeName(person, names, context)),
    may("UpdatePerson") && actionButton("Labels", () => changeLabels(person, names, context)),
    may("UpdatePerson") && actionButton(person.suspended ? "Resume" : "Suspend", () => suspend(person, names, context)),
    may("RenamePerson") && actionButton("Change id", () => rename(person, names, context)),
    may("MergePersons") && actionButton("Merge", () => merge(person, names, context)),
    may("DeletePerson") && actionButton("Erase", () => erase(person, names, context), { class: "danger" }));
}

/** Call a method that changes the person. */
function change(method, request, context) {
  return callShown(`MatcherService/${method}`, request, context);
}

async function changeName(person, names, context) {
  const done = await ask("Change the name", [
    h("label", { for: "name" }, "Name to show"),
    h("input", { id: "name", name: "name", value: person.displayName, maxlength: 256 }),
  ], { action: "Change", act: (fields) => change("UpdatePerson", { ...names, displayName: fields.get("name") }, context) });
  if (done) context.refresh();
}

async function changeLabels(person, names, context) {
  const act = (labels) => change("UpdatePerson", { ...names, labels, updateMask: "labels" }, context);
  if (await editLabels(person.labels ?? {}, act)) context.refresh();
}

async function suspend(person, names, context) {
  const suspended = !person.suspended;
  const done = await ask(suspended ? "Suspend this person?" : "Resume this person?", [
    h("p", {}, suspended ? "No claim and no search finds them until they are resumed. Their faces stay stored."
      : "Claims and searches find them again."),
  ], { action: suspended ? "Suspend" : "Resume", act: () => change("UpdatePerson", { ...names, suspended }, context) });
  if (done) context.refresh();
}

async function rename(person, names, context) {
  const act = async (fields) => {
    const newPersonId = fields.get("id");
    await change("RenamePerson", { ...names, newPersonId }, context);
    return newPersonId;
  };
  const newPersonId = await ask("Change the id", [
    h("p", {}, "The faces, labels and dates stay. Callers that use the old id are told that there is no such person."),
    h("label", { for: "new-id" }, "New id"),
    h("input", { id: "new-id", name: "id", value: person.personId, maxlength: 128, required: true }),
  ], { action: "Change", act });
  if (newPersonId) location.hash = personAddress(newPersonId);
}

async function merge(person, names, context) {
  const target = targetField(context, "Id of the person to keep", (kept) => mergeWarning(person, kept));
  const act = async (fields) => {
    const targetPersonId = fields.get("target").trim();
    if (!await target.isAgreed(targetPersonId)) return null;
    await change("MergePersons", { collectionId: names.collectionId, sourcePersonId: person.personId, targetPersonId }, context);
    return targetPersonId;
  };
  const kept = await ask(`Merge ${person.displayName || person.personId} into another person`, [
    h("p", {}, "The faces are given to the other person, who keeps their name, labels and metadata. This person is erased."),
    target.root,
  ], { action: "Merge", danger: true, act });
  if (kept) location.hash = personAddress(kept);
}

async function erase(person, names, context) {
  const receipt = await ask(`Erase ${person.displayName || person.personId}?`, [
    h("p", {}, `The person and ${format.counted(person.faceCount, "face")} are erased. This cannot be taken back.`),
  ], { action: "Erase", danger: true, act: () => change("DeletePerson", names, context) });
  if (receipt) location.hash = receipt.erasureId ? erasureAddress(receipt.erasureId) : "#/people";
}
