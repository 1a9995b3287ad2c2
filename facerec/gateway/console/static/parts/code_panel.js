/** The page's last calls as code. */

import { h, replace, announce } from "../dom.js";
import { LANGUAGES, snippet } from "./snippets.js";

const MAX_CALLS = 5;

/** Shows calls in the language that the reader chose. */
export class CodePanel {
  /** @param {HTMLElement} root */
  constructor(root) {
    this.root = root;
    this.calls = [];
    this.index = 0;
    /** Whether calls need a key. */
    this.keysRequired = false;
  }

  /** Forget the calls. */
  clear() {
    this.calls = [];
    replace(this.root);
  }

  /** Show a call, as the newest. */
  show(call) {
    this.calls = [call, ...this.calls.filter((each) => each.method !== call.method)].slice(0, MAX_CALLS);
    this.index = 0;
    this.render();
  }

  get language() {
    const chosen = localStorage.getItem("language");
    return LANGUAGES.includes(chosen) ? chosen : LANGUAGES[0];
  }

  render() {
    const text = snippet(this.calls[this.index], this.language, { keysRequired: this.keysRequired });
    const isOpen = localStorage.getItem("code") === "open";
    const choose = (change) => (event) => {
      change(event.target.value);
      this.render();
      this.root.querySelector(`#${event.target.id}`).focus();
    };
    const copy = async () => {
      await navigator.clipboard.writeText(text);
      announce("Copied");
    };
    replace(this.root, h("details", {
      open: isOpen, ontoggle: (event) => localStorage.setItem("code", event.target.open ? "open" : "closed"),
    },
    h("summary", {}, "This page as code"),
    h("div", { class: "row" },
      h("label", { for: "code-call" }, "Call"),
      h("select", { id: "code-call", onchange: choose((value) => { this.index = Number(value); }) },
        this.calls.map((each, index) => h("option", { value: index, selected: index === this.index }, each.method.split("/")[1]))),
      h("label", { for: "code-language" }, "Language"),
      h("select", { id: "code-language", onchange: choose((value) => localStorage.setItem("language", value)) },
        LANGUAGES.map((each) => h("option", { selected: each === this.language }, each))),
      navigator.clipboard && h("button", { onclick: copy }, "Copy")), // which plain HTTP does not have
    h("pre", { tabindex: 0 }, h("code", {}, text))));
  }
}
