/** Review: likely duplicates and inconsistent faces, one decision at a time. */

import { h, replace } from "../dom.js";
import { showDuplicates } from "./review/duplicates.js";
import { showInconsistent } from "./review/inconsistent.js";

const KINDS = {
  duplicates: { title: "Likely duplicates", about: "Two people who may be one person under two ids.", show: showDuplicates },
  inconsistent: {
    title: "Inconsistent faces", about: "Faces that are nearer to somebody else's than to their own person's.",
    show: showInconsistent,
  },
};

async function render(root, [chosen], context) {
  const kind = Object.hasOwn(KINDS, chosen ?? "") ? chosen : "duplicates";
  const queue = h("div");
  replace(root,
    h("h1", {}, "Review"),
    h("nav", { class: "tabs", "aria-label": "What to review" }, Object.entries(KINDS).map(([name, { title }]) => h("a", {
      href: `#/review/${name}`, "aria-current": name === kind && "page",
    }, title))),
    h("p", { class: "hint" }, KINDS[kind].about, " The services store no photos: look at yours before you decide."),
    queue);
  await KINDS[kind].show(queue, context);
}

export default { path: "review", title: "Review", methods: ["ListDuplicates"], render };
