/** Buttons that call a service. */

import { h, replace, announce } from "../dom.js";
import { failure } from "./messages.js";

/**
 * A button that is disabled while its action runs, and shows its failure beside it.
 *
 * @param {string} text Its name.
 * @param {() => Promise<void|string>} act What it does; the text that it returns is announced.
 * @param {Object<string, any>} attributes Of the button.
 * @returns {HTMLElement}
 */
export function actionButton(text, act, attributes = {}) {
  const problem = h("span", { role: "alert" });
  const run = async () => {
    button.disabled = true;
    replace(problem);
    try {
      const said = await act();
      if (said) announce(said);
    } catch (error) {
      if (error.name !== "AbortError") replace(problem, failure(error));
    } finally {
      button.disabled = false;
      if (document.activeElement === document.body) button.focus();
    }
  };
  const button = h("button", { type: "button", ...attributes, onclick: run }, text);
  return h("span", { class: "action" }, button, problem);
}
