/** Questions that must be answered before something happens. */

import { h } from "../dom.js";

/**
 * Ask in a dialog.
 *
 * @param {string} title What is asked.
 * @param {(Node|string)[]} body What it is about; its form fields are in the answer.
 * @param {{action: string, danger?: boolean}} options The word on the button that goes on, and whether it destroys.
 * @returns {Promise<FormData|null>} The fields; null where it was cancelled.
 */
export function ask(title, body, { action, danger = false }) {
  return new Promise((resolve) => {
    const form = h("form", { method: "dialog" },
      h("h2", { id: "dialog-title" }, title), body,
      h("div", { class: "actions" },
        h("button", { type: "button", onclick: () => dialog.close() }, "Cancel"),
        h("button", { class: danger ? "danger" : "primary", value: "go" }, action)));
    const dialog = h("dialog", {
      "aria-labelledby": "dialog-title",
      onclose: () => {
        resolve(dialog.returnValue === "go" ? new FormData(form) : null);
        dialog.remove();
      },
    }, form);
    document.body.append(dialog);
    dialog.showModal();
  });
}
