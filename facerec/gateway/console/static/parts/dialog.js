/** Questions that must be answered before something happens. */

import { h, replace } from "../dom.js";
import { failure } from "./messages.js";

/**
 * Ask in a dialog, and do what was asked. The dialog stays open, with what was typed, until that succeeded; a failure is
 * shown in it.
 *
 * @param {string} title What is asked.
 * @param {(Node|string)[]} body What it is about, with its form fields.
 * @param {{action: string, danger?: boolean, act: (fields: FormData) => Promise<any>}} options The word on the button that
 *   goes on, whether it destroys, and what it does; where that gives null the dialog stays open.
 * @returns {Promise<any>} What `act` gave; null where it was cancelled.
 */
export function ask(title, body, { action, danger = false, act }) {
  return new Promise((resolve) => {
    let isBusy = false;
    let result = null;
    const problem = h("div", { role: "alert" });
    const close = () => {
      dialog.remove();
      if (!isBusy) resolve(result);
    };
    const submit = async (event) => {
      event.preventDefault();
      if (isBusy) return;
      isBusy = true;
      replace(problem);
      try {
        result = await act(new FormData(form));
        if (result !== null) dialog.close();
      } catch (error) {
        if (error.name === "AbortError" || error.code === "unauthenticated") dialog.close();
        else replace(problem, failure(error));
      }
      isBusy = false;
      if (!dialog.isConnected || !dialog.open) close();
    };
    const form = h("form", { onsubmit: submit },
      h("h2", { id: "dialog-title" }, title), body, problem,
      h("div", { class: "actions" },
        h("button", { type: "button", onclick: () => dialog.close() }, "Cancel"),
        h("button", { class: danger ? "danger" : "primary" }, action)));
    const dialog = h("dialog", { "aria-labelledby": "dialog-title", onclose: close }, form);
    document.body.append(dialog);
    dialog.showModal();
  });
}
