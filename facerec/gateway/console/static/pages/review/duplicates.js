/** Likely duplicate pairs. */

import { h } from "../../dom.js";
import { distanceBar } from "../../parts/distance_bar.js";
import { dismiss, merge } from "./decisions.js";
import { showQueue } from "./list.js";
import { faceLine, personColumn, readPersons } from "./persons.js";

const LIST = { method: "ListDuplicates", items: "pairs", examined: "personsExamined", noun: "person" };

/**
 * Show the pairs of a collection.
 *
 * @param {HTMLElement} root Where.
 * @param {import("../../main.js").Context} context
 */
export async function showDuplicates(root, context) {
  await showQueue(root, LIST, context, (pair, threshold) => showPair(pair, threshold, context));
}

async function showPair(pair, threshold, context) {
  const { personIdA: a, personIdB: b } = pair;
  const persons = await readPersons([a, b], context);
  const isThere = persons[a] && persons[b];
  const lines = isThere ? [await faceLine(pair.faceIdA, context), await faceLine(pair.faceIdB, context)] : [];
  const column = (id, line) => personColumn(id, persons[id], line ? [["Nearest face", line]] : []);
  const may = (method) => context.access.may(method);
  return {
    body: h("div", {},
      h("h2", {}, "Are they one person?"),
      distanceBar(pair.distance, threshold),
      h("div", { class: "columns" }, column(a, lines[0]), column(b, lines[1]))),
    choices: isThere ? [
      may("MergePersons") && { key: "1", text: `One person: keep ${a}`, act: () => merge(b, a, context) },
      may("MergePersons") && { key: "2", text: `One person: keep ${b}`, act: () => merge(a, b, context) },
      may("DismissDuplicate") && { key: "d", text: "Different people", act: () => dismiss(a, b, context) },
    ].filter(Boolean) : [],
  };
}
