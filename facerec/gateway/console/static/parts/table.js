/** Tables, and pages of what a service lists. */

import { h, replace, announce } from "../dom.js";
import { reading } from "./messages.js";

/**
 * A table.
 *
 * @param {string} caption What it lists, for screen readers.
 * @param {string[]} columns The headings.
 * @param {Array<Array<Node|string|number>>} rows The cells.
 * @returns {HTMLElement}
 */
export function table(caption, columns, rows) {
  return h("div", { class: "table", tabindex: 0, role: "region", "aria-label": caption },
    h("table", {},
      h("caption", { class: "visually-hidden" }, caption),
      h("thead", {}, h("tr", {}, columns.map((name) => h("th", { scope: "col" }, name)))),
      h("tbody", {}, rows.map((cells) => h("tr", {}, cells.map((cell, at) => h("td", { "data-column": columns[at] }, cell)))))));
}

/**
 * Show a list page by page, with buttons for the next and the one before.
 *
 * @param {HTMLElement} root Where.
 * @param {(token: string) => Promise<{items: any[], next: string, note?: string}>} fetchPage Fetches a page by its
 *   token; an empty one is the first.
 * @param {(items: any[]) => Node} show Shows a page's items.
 */
export async function showPages(root, fetchPage, show) {
  const tokens = [""];
  if (!root.childElementCount) replace(root, reading());
  const go = async () => {
    const { items, next, note } = await fetchPage(tokens.at(-1));
    const step = (change) => async () => {
      change();
      await go();
      root.querySelector("[tabindex], a, button")?.focus();
    };
    replace(root, show(items), note && h("p", { class: "hint" }, note),
      (tokens.length > 1 || next) && h("div", { class: "row" },
        h("button", { disabled: tokens.length === 1, onclick: step(() => tokens.pop()) }, "Previous page"),
        h("span", { class: "hint" }, `Page ${tokens.length}`),
        h("button", { disabled: !next, onclick: step(() => tokens.push(next)) }, "Next page")));
    announce(`Page ${tokens.length}, ${items.length} shown`);
  };
  await go();
}
