/** Health: both services, the index of the collection, and the last changes. */

import { h, replace } from "../dom.js";
import { failure, reading } from "../parts/messages.js";
import * as format from "../parts/format.js";
import { showEvents } from "./health/audit.js";
import { showEncoder } from "./health/encoder.js";
import { showIndex } from "./health/search_index.js";
import { showMatcher } from "./health/matcher.js";

const SECTIONS = [
  { title: "Encoder", methods: [], show: showEncoder },
  { title: "Matcher", methods: ["GetStatus"], show: showMatcher },
  { title: "Search", methods: ["GetCollection"], show: showIndex },
  { title: "Last changes", methods: ["ListAuditEvents"], show: showEvents },
];

async function render(root, _, context) {
  const sections = SECTIONS.filter(({ methods }) => !methods.length || context.access.mayAny(methods));
  const shown = sections.map(({ title, show }) => {
    const body = h("div", {}, reading());
    return { body, show, card: h("section", { class: "card" }, h("h2", {}, title), body) };
  });
  replace(root,
    h("div", { class: "row" }, h("h1", {}, "Health"), h("button", { onclick: context.refresh }, "Refresh"),
      h("span", { class: "hint" }, `As of ${format.time(new Date().toISOString())}`)),
    h("div", { class: "stack" }, shown.map(({ card }) => card)));
  await Promise.all(shown.map(({ body, show }) => show(body, context).catch((error) => {
    if (error.name !== "AbortError") replace(body, failure(error));
  })));
}

export default { path: "health", title: "Health", methods: ["GetCollection", "GetStatus"], render };
