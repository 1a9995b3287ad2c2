/** Health. */

import { h, replace } from "../dom.js";

async function render(root) {
  replace(root, h("h1", {}, "Health"));
}

export default { path: "health", title: "Health", methods: ["GetPerson"], render };
