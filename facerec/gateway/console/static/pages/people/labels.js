/** The dialog in which a person's labels are changed. */

import { h, append } from "../../dom.js";
import { ask } from "../../parts/dialog.js";

/**
 * Ask for a person's labels, and save them.
 *
 * @param {Object<string, string>} labels Those that they have.
 * @param {(labels: Object<string, string>) => Promise<any>} save Gives them those that they shall have.
 * @returns {Promise<any>} What `save` gave; null where it was cancelled.
 */
export function editLabels(labels, save) {
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
  const act = (fields) => {
    const values = fields.getAll("value");
    return save(Object.fromEntries(fields.getAll("key").map((key, at) => [key.trim(), values[at]]).filter(([key]) => key)));
  };
  return ask("Labels", [
    h("p", { class: "hint" }, "Keys have lower-case letters, digits and _ . - ; a label without a key is removed."),
    rows, h("div", {}, more),
  ], { action: "Save", act });
}

function labelRow(key, value) {
  const row = h("div", { class: "label-row" },
    h("input", { name: "key", value: key, "aria-label": "Key", placeholder: "key", maxlength: 63 }),
    h("input", { name: "value", value, "aria-label": "Value", placeholder: "value", maxlength: 128 }),
    h("button", { type: "button", "aria-label": `Remove ${key || "this label"}`, onclick: () => row.remove() }, "×"));
  return row;
}
