/** Review. */

import { h, replace } from "../dom.js";

async function render(root) {
  replace(root, h("h1", {}, "Review"));
}

export default { path: "review", title: "Review", methods: ["GetPerson"], render };
