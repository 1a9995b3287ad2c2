/** Thresholds. */

import { h, replace } from "../dom.js";

async function render(root) {
  replace(root, h("h1", {}, "Thresholds"));
}

export default { path: "thresholds", title: "Thresholds", methods: ["GetPerson"], render };
