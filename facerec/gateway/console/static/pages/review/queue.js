/** What is to be decided, one after another: items of a list that comes in pages, some of which are empty. */

import { h, replace, announce } from "../../dom.js";
import { actionButton } from "../../parts/actions.js";
import { failure } from "../../parts/messages.js";

/**
 * A decision that can be chosen by a button or a key.
 *
 * @typedef {Object} Choice
 * @property {string} key The key that chooses it while the focus is in the card.
 * @property {string} text What its button says.
 * @property {boolean} [danger] Whether it destroys something.
 * @property {() => Promise<null|{said: string, different?: boolean, undo?: () => Promise<void>}>} act Does it; null where
 *   it was cancelled. `different` says that the two people were marked as different.
 */

/** Shows the items one by one until there is none left. */
export class Queue {
  /**
   * @param {HTMLElement} root Where.
   * @param {(token: string) => Promise<{items: any[], next: string, examined: string}>} fetchPage Fetches a page; an
   *   empty token is the first. `examined` says what the page has covered.
   * @param {(item: any) => Promise<null|{body: Node, choices: Choice[]}>} show What to show of an item; null where it is
   *   out of date.
   */
  constructor(root, fetchPage, show) {
    Object.assign(this, { root, fetchPage, show, items: [], token: "", decided: 0, last: null, isEnd: false, examined: "", outdated: 0, different: new Set() });
  }

  /** Show the next item. */
  async next() {
    replace(this.root, h("p", { class: "hint", role: "status" }, "Searching …"));
    for (;;) {
      while (!this.items.length && !this.isEnd) {
        const { items, next, examined } = await this.fetchPage(this.token);
        Object.assign(this, { items, token: next, isEnd: !next, examined });
      }
      const [item] = this.items;
      if (!item) return this.end();
      const found = this.different.has(pairOf(item)) ? null : await this.show(item);
      if (found) return this.render(found);
      this.items.shift(); // an earlier decision, or somebody else, has changed what it is about
      this.outdated += 1;
    }
  }

  end() {
    const again = () => {
      Object.assign(this, { token: "", isEnd: false, outdated: 0 });
      return this.next();
    };
    replace(this.root, h("p", { class: "notice" }, this.decided ? "That was the last one." : "There is nothing to decide.",
      this.examined && ` ${this.examined}`),
    this.outdated > 0 && h("p", { class: "row" },
      `${this.outdated} left out, because their people have changed since the list was read. `, actionButton("Read it again", again)),
    this.undoLine());
  }

  render({ body, choices }) {
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
      if (done.different) this.different.add(pairOf(item));
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
        this.different.delete(pairOf(item));
        this.last = null;
        await this.next();
      } catch (error) {
        this.root.append(failure(error));
      }
    };
    return h("p", { class: "row" }, `${said}. `, (undo || said === "Skipped") && h("button", { onclick: back }, "Take it back"));
  }
}

/** The two people of an item, in any order. */
function pairOf(item) {
  return JSON.stringify([item.personIdA ?? item.personId, item.personIdB ?? item.otherPersonId].sort());
}
