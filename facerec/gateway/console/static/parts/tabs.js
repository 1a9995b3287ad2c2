/** Tabs that the arrow keys move between. */

import { h } from "../dom.js";

/**
 * Tabs with their panels, of which one is shown.
 *
 * @param {string} label What they are, for screen readers.
 * @param {Array<{id: string, title: string, panel: HTMLElement}>} items
 * @param {(id: string) => void} onselect Called with each tab that is chosen.
 * @returns {{root: HTMLElement, select: (id: string) => void}}
 */
export function tabs(label, items, onselect) {
  const buttons = items.map(({ id, title }) => h("button", {
    role: "tab", id: `tab-${id}`, "aria-controls": `panel-${id}`, onclick: () => select(id),
  }, title));
  const panels = items.map(({ id, panel }) => h("div", {
    role: "tabpanel", id: `panel-${id}`, "aria-labelledby": `tab-${id}`,
  }, panel));

  function select(id) {
    items.forEach((item, index) => {
      const chosen = item.id === id;
      buttons[index].setAttribute("aria-selected", chosen);
      buttons[index].tabIndex = chosen ? 0 : -1;
      panels[index].hidden = !chosen;
    });
    onselect(id);
  }

  function move(event) {
    const last = items.length - 1;
    const at = buttons.indexOf(document.activeElement);
    const to = { ArrowRight: at === last ? 0 : at + 1, ArrowLeft: at === 0 ? last : at - 1, Home: 0, End: last }[event.key];
    if (to === undefined || at < 0) return;
    event.preventDefault();
    select(items[to].id);
    buttons[to].focus();
  }

  const list = h("div", { role: "tablist", "aria-label": label, onkeydown: move }, buttons);
  return { root: h("div", { class: "tabs" }, list, panels), select };
}
