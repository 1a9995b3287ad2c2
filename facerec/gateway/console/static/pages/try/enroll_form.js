/** The form that enrolls pictures under a name. */

import { h, append, replace } from "../../dom.js";
import { call } from "../../rpc.js";
import { randomId } from "../../parts/random_id.js";
import { slug } from "../../parts/slug.js";
import { refusal } from "../../parts/advice.js";
import { enrolled } from "./outcome.js";
import { send } from "./mode.js";

let forms = 0;

/**
 * A form for a name and an id. Who is enrolled under the id already is shown before anything is added to them.
 *
 * @param {import("../../main.js").Context} context
 * @param {{photos: () => Promise<File[]>, useLargestFace?: () => boolean, name?: string,
 *   onenrolled: (outcome: HTMLElement, photos: File[]) => void, onrefused?: (error: Error) => void,
 *   oncancel?: () => void}} options The pictures, a name to begin with, what is told of the outcome and of a refusal, and
 *   what the button Cancel does, which is shown with it.
 * @returns {{root: HTMLElement, focus: () => void}}
 */
export function enrollForm(context, {
  photos, useLargestFace = () => false, name = "", onenrolled, onrefused = () => {}, oncancel = null,
}) {
  const number = forms++;
  const sent = { content: "", requestId: "" };
  const status = h("div", { "aria-live": "polite" });
  const nameInput = h("input", { id: `enroll-name-${number}`, maxlength: 256, autocomplete: "off", value: name, oninput: propose });
  const idInput = h("input", {
    id: `enroll-id-${number}`, required: true, maxlength: 128, autocomplete: "off", spellcheck: "false", autocapitalize: "none",
    value: slug(name), oninput: () => { idInput.isEdited = idInput.value !== ""; },
  });
  const button = h("button", { class: "primary" }, "Enroll");

  function propose() {
    if (!idInput.isEdited) idInput.value = slug(nameInput.value);
  }

  async function submit(event) {
    event.preventDefault();
    const personId = idInput.value.trim();
    await attempt(async () => {
      const existing = await find(context, personId);
      if (existing) replace(status, askToAdd(existing));
      else await enroll(personId, nameInput.value.trim());
    });
  }

  async function attempt(work) {
    button.disabled = true;
    replace(status, h("p", { class: "hint busy" }, "Enrolling …"));
    try {
      await work();
    } catch (error) {
      if (error.name === "AbortError" || error.code === "unauthenticated") return;
      replace(status, refusal(error, other(error)));
      onrefused(error);
    } finally {
      button.disabled = false;
    }
  }

  /** The same content has the same request id, so that a call whose answer was lost may be repeated. */
  async function enroll(personId, displayName) {
    const files = await photos();
    if (!files.length) {
      replace(status, h("p", { class: "notice" }, "Give a picture first."));
      return;
    }
    const largest = useLargestFace();
    const content = JSON.stringify([personId, displayName, largest, files.map((file) => [file.name, file.size, file.lastModified])]);
    if (sent.content !== content) Object.assign(sent, { content, requestId: randomId() });
    const request = {
      personId, ...(displayName && { displayName }), requestId: sent.requestId, ...(largest && { probe: { useLargestFace: true } }),
    };
    onrefused(null);
    const answer = await send(context, "Enroll", request, files.map((file) => ["image", file]), context.signal);
    replace(status);
    onenrolled(enrolled(answer, context), files);
  }

  function askToAdd(person) {
    const shown = person.displayName ? `${person.displayName} (${person.personId})` : person.personId;
    return h("div", { class: "notice" },
      h("p", {}, `${shown} is enrolled already. Is it the same person? If not, choose another id.`),
      h("button", { type: "button", onclick: () => attempt(() => enroll(person.personId, "")) }, `Add to ${shown}`));
  }

  /** A button for the person whom a refusal names. */
  function other({ metadata, reason }) {
    const id = metadata.person_id;
    if (!["FACE_DUPLICATE", "FACE_INCONSISTENT"].includes(reason) || !id) return null;
    return h("button", { type: "button", onclick: () => attempt(() => enroll(id, "")) }, `Add to ${id} instead`);
  }

  const root = h("form", { class: "inputs", onsubmit: submit });
  append(root,
    h("label", { for: nameInput.id }, "Name"), nameInput,
    h("label", { for: idInput.id }, "Id"), idInput,
    h("p", { class: "hint" }, "The id names the person in your systems. It is proposed from the name."),
    status, h("div", { class: "row" }, button, oncancel && h("button", { type: "button", onclick: oncancel }, "Cancel")));
  return { root, focus: () => nameInput.focus() };
}

/** The person of an id; null where there is none, or the caller may not look. */
async function find({ access, collectionId, signal }, personId) {
  if (!access.may("GetPerson")) return null;
  try {
    return (await call("MatcherService/GetPerson", { collectionId, personId }, { signal })).person;
  } catch (error) {
    if (error.reason === "PERSON_NOT_FOUND") return null;
    throw error;
  }
}
