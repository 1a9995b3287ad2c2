/** What is to be decided, one after another: items of a list that comes in pages, some of which are empty. */

import { h, replace, announce } from "../../dom.js";
import { failure } from "../../parts/messages.js";

/**
 * A decision that can be chosen by a button or a key.
 *
 * @typedef {Object} Choice
 * @property {string} key The key that chooses it while the focus is in the card.
 * @property {string} text What its button says.
 * @property {boolean} [danger] Whether it destroys something.
 * @property {() => Promise<null|{said: string, undo?: () => Promise<void>}>} act Does it; null where it was cancelled.
 */

/** Shows the items one by one until there is none left. */
export class Queue {
  /**
   * @param {HTMLElement} root Where.
   * @param {(token: string) => Promise<{items: any[], next: string, examined: string}>} fetchPage Fetches a page; an
   *   empty token is the first. `examined` says what the page has covered.
   * @param {(item: any) => Promise<{body: Node, choices: Choice[]}>} show What to show of an item.
   */
  constructor(root, fetchPage, show) {
    Object.assign(this, { root, fetchPage, show, items: [], token: "", decided: 0, last: null, isEnd: false, examined: "" });
  }

  /** Show the next item. */
  async next() {
    replace(this.root, h("p", { class: "hint", role: "status" }, "Searching …"));
    while (!this.items.length && !this.isEnd) {
      const { items, next, examined } = await this.fetchPage(this.token);
      Object.assign(this, { items, token: next, isEnd: !next, examined });
    }
    if (!this.items.length) {
      replace(this.root, h("p", { class: "notice" }, this.decided ? "That was the last one." : "There is nothing to decide.",
        this.examined && ` ${this.examined}`), this.undoLine());
      return;
    }
    await this.render(this.items[0]);
  }

  async render(item) {
    const { body, choices } = await this.show(item);
    const problem = h("div", { role: "alert" });
    const all = [...choices, { key: "s", text: "Skip", act: async () => ({ said: "Skipped" }) }];
    const buttons = all.map((choice) => h("button", {
      class: choice.danger && "danger", onclick: () => this.decide(choice, problem),
    }, `${choice.text} `, h("kbd", {}, choice.key)));
    const card = h("section", {
      class: "card", tabindex: -1, "aria-label": "Decision",
      onkeydown: (event) => {
        const choice = !event.ctrlKey && !event.metaKey && !event.altKey && all.find(({ key }) => key === event.key);
        if (choice) this.decide(choice, problem);
      },
    }, body, h("div", { class: "row choices" }, buttons), problem);
    replace(this.root, card, this.undoLine());
    card.focus({ preventScroll: true });
  }

  async decide(choice, problem) {
    if (this.isBusy) return;
    this.isBusy = true;
    replace(problem);
    try {
      const done = await choice.act();
      if (!done) return;
      const item = this.items.shift();
      this.decided += 1;
      this.last = { ...done, item };
      announce(done.said);
      await this.next();
    } catch (error) {
      if (error.name !== "AbortError") replace(problem, failure(error));
    } finally {
      this.isBusy = false;
    }
  }

  undoLine() {
    if (!this.last) return null;
    const { said, undo, item } = this.last;
    const back = async () => {
      try {
        await undo?.();
        this.items.unshift(item);
        this.last = null;
        await this.next();
      } catch (error) {
        this.root.append(failure(error));
      }
    };
    return h("p", { class: "row" }, `${said}. `, (undo || said === "Skipped") && h("button", { onclick: back }, "Take it back"));
  }
}
