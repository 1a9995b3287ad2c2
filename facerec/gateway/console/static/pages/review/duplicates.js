/** Likely duplicate pairs. */

import { h } from "../../dom.js";
import { call } from "../../rpc.js";
import { distanceBar } from "../../parts/distance_bar.js";
import * as format from "../../parts/format.js";
import { callShown } from "../../parts/shown_call.js";
import { dismiss, merge } from "./decisions.js";
import { faceLine, personColumn, readPersons } from "./persons.js";
import { Queue } from "./queue.js";

/**
 * Show the pairs of a collection.
 *
 * @param {HTMLElement} root Where.
 * @param {import("../../main.js").Context} context
 */
export async function showDuplicates(root, context) {
  const collection = { collectionId: context.collectionId };
  const { collection: found } = await call("CollectionService/GetCollection", collection, { signal: context.signal });
  const threshold = found.settings.duplicateThreshold;
  const fetchPage = async (pageToken) => {
    const request = { ...collection, pageToken, pageSize: 20 };
    const answer = await callShown("CollectionService/ListDuplicates", request, context);
    const examined = `${format.counted(answer.personsExamined, "person")} examined${answer.exact ? ", each compared with all" : " by the index"}.`;
    return { items: answer.pairs, next: answer.nextPageToken, examined };
  };
  await new Queue(root, fetchPage, (pair) => showPair(pair, threshold, context)).next();
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
