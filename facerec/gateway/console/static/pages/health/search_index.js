/** How the collection is searched: its size, its index, and the index's recall. */

import { h, replace } from "../../dom.js";
import { actionButton } from "../../parts/actions.js";
import { facts, state } from "../../parts/facts.js";
import * as format from "../../parts/format.js";
import { randomId } from "../../parts/random_id.js";
import { callShown } from "../../parts/shown_call.js";

/**
 * Show the search of the chosen collection.
 *
 * @param {HTMLElement} root Where.
 * @param {import("../../main.js").Context} context
 */
export async function showIndex(root, context) {
  const named = { collectionId: context.collectionId };
  const { collection } = await callShown("CollectionService/GetCollection", named, context);
  const { index, settings } = collection;
  const measured = h("div", { role: "status" });
  const about = (isExact) => isExact ? "" : "about ";
  replace(root,
    facts([
      ["Collection", collection.collectionId],
      ["Size", `${about(collection.personsExact)}${format.counted(collection.estimatedPersons, "person", "people")}, ${about(collection.facesExact)}${format.counted(collection.estimatedFaces, "face")}`],
      ["Space", collection.space],
      ["Searched", index?.ready ? "by an index, confirmed by an exact scan where it is not sure" : "exactly: every face is compared"],
      ["Index", indexState(index, settings)],
      ["Recall", index?.recall !== undefined && `${format.percent(index.recall)} (at least ${format.percent(index.recallLow)}), measured ${format.time(index.recallTime)}`],
    ]),
    context.access.may("MeasureRecall") && index?.buildTime &&
      actionButton("Measure the recall now", () => measure(measured, named, context)), measured);
}

function indexState(index, settings) {
  if (index?.buildPhase) return `being built: ${index.buildPhase}, ${format.percent(index.buildDone)}`;
  if (!index?.buildTime) return `none; maintain builds one above ${format.count(settings.search.indexAboveFaces)} faces`;
  return [state(index.ready, "ready", "misses its target, and is not used"), `, built ${format.time(index.buildTime)}`];
}

async function measure(root, named, context) {
  const request = { ...named, requestId: randomId() };
  replace(root, h("p", { class: "hint" }, "Comparing searches by the index with exact ones …"));
  const answer = await callShown("CollectionService/MeasureRecall", request, context).catch((error) => {
    replace(root);
    throw error;
  });
  const share = (found) => found && format.interval(found);
  replace(root, facts([
    ["Searches compared", format.count(answer.samples)],
    ["Nearest person found by the index alone", share(answer.recall)],
    ["Answered as by an exact scan", share(answer.agreement)],
    ["Confirmed by a scan", share(answer.confirmed)],
  ]));
}
