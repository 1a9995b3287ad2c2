/** Try. */

import { h, replace } from "../dom.js";

async function render(root) {
  replace(root, h("h1", {}, "Try"));
}

export default { path: "try", title: "Try", methods: ["Identify", "Verify", "Compare", "Enroll"], render };
