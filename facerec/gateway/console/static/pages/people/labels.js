/** The dialog in which a person's labels are changed. */

import { h, append } from "../../dom.js";
import { ask } from "../../parts/dialog.js";

/**
 * Ask for a person's labels.
 *
 * @param {Object<string, string>} labels Those that they have.
 * @returns {Promise<Object<string, string>|null>} Those that they shall have; null where it was cancelled.
 */
export async function editLabels(labels) {
  const rows = h("div", { class: "labels" });
  const add = (key, value) => append(rows, labelRow(key, value));
  Object.entries(labels).forEach(([key, value]) => add(key, value));
  if (!rows.children.length) add("", "");
  const more = h("button", {
    type: "button",
    onclick: () => {
      add("", "");
      rows.lastChild.querySelector("input").focus();
    },
  }, "Add a label");
  const fields = await ask("Labels", [
    h("p", { class: "hint" }, "Keys have lower-case letters, digits and _ . - ; a label without a key is removed."),
    rows, more,
  ], { action: "Save" });
  if (!fields) return null;
  const values = fields.getAll("value");
  return Object.fromEntries(fields.getAll("key").map((key, at) => [key.trim(), values[at]]).filter(([key]) => key));
}

function labelRow(key, value) {
  const row = h("div", { class: "row" },
    h("input", { name: "key", value: key, "aria-label": "Key", placeholder: "key", maxlength: 63 }),
    h("input", { name: "value", value, "aria-label": "Value", placeholder: "value", maxlength: 128 }),
    h("button", { type: "button", "aria-label": `Remove ${key || "this label"}`, onclick: () => row.remove() }, "×"));
  return row;
}
