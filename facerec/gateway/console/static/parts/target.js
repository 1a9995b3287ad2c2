/** The field for the person to whom faces are given, in a dialog. */

import { h, replace } from "../dom.js";
import { call } from "../rpc.js";
import { personInput } from "./person_input.js";

/**
 * A field named `target` for a person's id. What the choice brings with it must be agreed to before it is done.
 *
 * @param {import("../main.js").Context} context
 * @param {string} label
 * @param {(target: Object|null, personId: string) => string} warn What must be agreed to for a person, null for one who
 *   does not exist; an empty text for nothing.
 * @returns {{root: HTMLElement, isAgreed: (personId: string) => Promise<boolean>}} `isAgreed` asks if need be; false means
 *   that the question is shown and not answered.
 */
export function targetField(context, label, warn) {
  const question = h("div", { "aria-live": "polite" });
  let agreedTo = "";
  const { root, input } = personInput(context, {
    id: "target", name: "target",
    oninput: () => {
      agreedTo = "";
      replace(question);
    },
  });
  const isAgreed = async (personId) => {
    const target = await find(personId, context);
    const text = warn(target, personId);
    if (!text || agreedTo === personId) return true; // the box is required, so that it is ticked by now
    agreedTo = personId;
    const box = h("input", { type: "checkbox", required: true });
    replace(question, h("label", { class: "choice notice" }, box, text));
    box.focus();
    return false;
  };
  return { root: h("div", {}, h("label", { for: "target" }, label), root, question), isAgreed };
}

/** The person of an id; null where there is none. */
async function find(personId, { collectionId, signal }) {
  try {
    return (await call("MatcherService/GetPerson", { collectionId, personId }, { signal })).person;
  } catch (error) {
    if (error.reason === "PERSON_NOT_FOUND") return null;
    throw error;
  }
}
