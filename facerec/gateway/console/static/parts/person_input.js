/** A field for a person's id, with suggestions to callers who may list people. */

import { h, replace } from "../dom.js";
import { call } from "../rpc.js";

const SUGGESTIONS = 8;
const PAUSE_MILLISECONDS = 200;

/**
 * @param {import("../main.js").Context} context
 * @param {{id: string, name?: string, oninput?: () => void}} options The element's id, its name in a form, and what is told
 *   of each change.
 * @returns {{root: HTMLElement, input: HTMLInputElement}}
 */
export function personInput({ collectionId, access, signal }, { id, name, oninput = () => {} }) {
  const list = h("datalist", { id: `${id}-list` });
  const maySuggest = access.may("ListPersons");
  let timer;
  let asked = new AbortController();

  async function suggest() {
    asked.abort();
    asked = new AbortController();
    const query = input.value.trim();
    if (!query) return;
    const options = { signal: AbortSignal.any([signal, asked.signal]) };
    const { persons } = await call("MatcherService/ListPersons", { collectionId, pageSize: SUGGESTIONS, query }, options)
      .catch(() => ({ persons: [] })); // suggestions are no more than that
    replace(list, persons.map((person) => h("option", { value: person.personId }, person.displayName)));
  }

  const input = h("input", {
    id, name, type: "text", required: true, maxlength: 128, autocomplete: "off", autocapitalize: "none", spellcheck: "false",
    list: maySuggest && list.id,
    oninput: () => {
      oninput();
      clearTimeout(timer);
      if (maySuggest) timer = setTimeout(suggest, PAUSE_MILLISECONDS);
    },
  });
  return { root: h("div", {}, input, list), input };
}
