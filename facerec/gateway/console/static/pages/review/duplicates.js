/** Likely duplicate pairs. */

import { h } from "../../dom.js";
import { call } from "../../rpc.js";
import { distanceBar } from "../../parts/distance_bar.js";
import { dismiss, merge } from "./decisions.js";
import { showQueue } from "./list.js";
import { faceLine, personColumn, readFaces, readPersons } from "./persons.js";

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
  const { personIdA: idA, personIdB: idB } = pair;
  const { [idA]: a, [idB]: b } = await readPersons([idA, idB], context);
  const faces = a && b && await readFaces([[pair.faceIdA, idA], [pair.faceIdB, idB]], context);
  if (!faces) return null;
  const warnings = await Promise.all([a, b].map((person) => inconsistency(person, context)));
  const may = (method) => context.access.may(method);
  return {
    body: h("div", {},
      h("h2", {}, "Are they one person?"), warnings,
      distanceBar(pair.distance, threshold),
      h("div", { class: "columns" }, [a, b].map((person, at) => personColumn(person, [["Nearest face", faceLine(faces[at])]])))),
    choices: [
      may("MergePersons") && { key: "1", text: `One person: keep ${idA}`, act: () => merge(b, a, context) },
      may("MergePersons") && { key: "2", text: `One person: keep ${idB}`, act: () => merge(a, b, context) },
      may("DismissDuplicate") && { key: "d", text: "Different people", act: () => dismiss(idA, idB, context) },
    ].filter(Boolean),
  };
}

/** A warning where one of a person's faces may be somebody else's: then a pair is likely because of that face. */
async function inconsistency({ personId, faceCount }, { collectionId, signal }) {
  if (faceCount < 2) return null;
  const { faces } = await call("CollectionService/ListInconsistentFaces", { collectionId, personId, pageSize: 1 }, { signal });
  if (!faces.length) return null;
  return h("p", { class: "notice" }, `${personId} has a face that is nearer to somebody else's than to their own: `,
    h("a", { href: "#/review/inconsistent" }, "look at that first"), ".");
}
