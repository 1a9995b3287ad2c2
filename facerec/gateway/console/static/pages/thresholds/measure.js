/** The form that has a collection's error rates measured. */

import { h, replace, announce } from "../../dom.js";
import { failure } from "../../parts/messages.js";
import { randomId } from "../../parts/random_id.js";
import { callShown } from "../../parts/shown_call.js";
import { FIELDS, inPageWords } from "./words.js";

/**
 * The form. The call has a request id, so that it goes on if the page is left or a service restarts, and its answer is
 * fetched again when the page is shown next.
 *
 * @param {Object} collection
 * @param {Object} context
 * @param {(calibration: Object) => void} done Called with what was measured.
 */
export function measureForm(collection, context, done) {
  const status = h("div", { role: "status" });
  const button = h("button", { class: "primary" }, "Measure");
  const form = h("form", { class: "card fields" },
    h("h2", {}, "Measure the error rates"),
    field("target-fmr", FIELDS.targetFmr, { value: 0.001, min: 1e-7, max: 0.1, step: "any", type: "number", required: true }),
    field("target-fp", FIELDS.targetFalsePositives, { value: 0.01, min: 1e-4, max: 10, step: "any", type: "number", required: true }),
    field("max-persons", FIELDS.maxPersons, { value: 1000, min: 20, max: 50000, step: 1, type: "number", required: true }),
    field("group-label", "Compare groups by the label (optional)", { type: "text", maxlength: 63 }),
    field("photos", "Photos of a claim, at most (0: pairs of faces alone)", { value: 0, min: 0, max: 5, step: 1, type: "number" }),
    button, status);
  const run = async (request) => {
    button.disabled = true;
    replace(status, h("p", { class: "hint" }, "Measuring … The work goes on if you leave the page."));
    try {
      const { calibration } = await callShown("CollectionService/Calibrate", request, context);
      replace(status);
      done(calibration);
      announce("Measured");
    } catch (error) {
      if (error.name !== "AbortError") {
        sessionStorage.removeItem(keyOf(collection));
        error.message = inPageWords(error.message);
        replace(status, failure(error));
      }
    } finally {
      button.disabled = false;
    }
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const request = toRequest(form, collection.collectionId);
    sessionStorage.setItem(keyOf(collection), JSON.stringify(request));
    run(request);
  });
  const asked = sessionStorage.getItem(keyOf(collection));
  if (asked) run(JSON.parse(asked));
  return form;
}

function keyOf(collection) {
  return `calibration:${collection.collectionId}`;
}

function field(id, text, attributes) {
  return h("div", { class: "field" }, h("label", { for: id }, text), h("input", { id, name: id, ...attributes }));
}

function toRequest(form, collectionId) {
  const fields = new FormData(form);
  const request = {
    collectionId,
    targetFmr: Number(fields.get("target-fmr")),
    targetFalsePositives: Number(fields.get("target-fp")),
    maxPersons: Number(fields.get("max-persons")),
    requestId: randomId(),
  };
  const label = fields.get("group-label").trim();
  if (label) request.groupLabel = label;
  if (Number(fields.get("photos"))) request.photos = Number(fields.get("photos"));
  return request;
}
