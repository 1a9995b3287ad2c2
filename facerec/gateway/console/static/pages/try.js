/** Try: every way to recognise a face, with pictures of one's own. */

import { h, replace } from "../dom.js";
import { tabs } from "../parts/tabs.js";
import compareMode from "./try/compare.js";
import enrollMode from "./try/enroll.js";
import identifyMode from "./try/identify.js";
import verifyMode from "./try/verify.js";

const MODES = [
  { id: "identify", title: "Who is it?", method: "Identify", make: identifyMode },
  { id: "verify", title: "Verify a claim", method: "Verify", make: verifyMode },
  { id: "compare", title: "Compare", method: "Compare", make: compareMode },
  { id: "enroll", title: "Enroll", method: "Enroll", make: enrollMode },
];

async function render(root, [first], context) {
  const allowed = MODES.filter(({ method }) => context.access.may(method));
  const go = (id, given) => {
    shown.select(id);
    modes.get(id).begin?.(given);
  };
  const modes = new Map(allowed.map(({ id, make }) => [id, make(context, go)]));
  let current = null;
  const shown = tabs("Ways to try", allowed.map(({ id, title }) => ({ id, title, panel: modes.get(id).root })), (id) => {
    current?.leave();
    current = modes.get(id);
    history.replaceState(null, "", `#/try/${id}`);
  });
  replace(root, h("h1", {}, "Try"), shown.root);
  shown.select(modes.has(first) ? first : allowed[0].id);
  listen(context.signal, (files) => current.give(files));
}

/** Take pictures that are pasted, or dropped anywhere on the page. */
function listen(signal, give) {
  document.addEventListener("paste", (event) => {
    const files = [...event.clipboardData.files];
    if (!files.length) return;
    event.preventDefault();
    give(files);
  }, { signal });
  document.addEventListener("dragover", (event) => event.preventDefault(), { signal });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    give([...event.dataTransfer.files]);
  }, { signal });
}

export default { path: "try", title: "Try", methods: MODES.map(({ method }) => method), render };
