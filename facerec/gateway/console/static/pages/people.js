/** People. */

import { h, replace } from "../dom.js";

async function render(root) {
  replace(root, h("h1", {}, "People"));
}

export default { path: "people", title: "People", methods: ["GetPerson"], render };
