/** The last changes of the collection, from its audit. */

import { h, replace } from "../../dom.js";
import * as format from "../../parts/format.js";
import { showPages, table } from "../../parts/table.js";
import { callShown } from "../../parts/shown_call.js";

const PAGE_SIZE = 20;

/**
 * Show the changes, newest first.
 *
 * @param {HTMLElement} root Where.
 * @param {import("../../main.js").Context} context
 */
export async function showEvents(root, context) {
  const request = { collectionId: context.collectionId, kind: "AUDIT_KIND_CHANGES", pageSize: PAGE_SIZE };
  await showPages(root, async (pageToken) => {
    const answer = await callShown("CollectionService/ListAuditEvents", { ...request, pageToken }, context);
    return { items: answer.events, next: answer.nextPageToken };
  }, eventsTable);
}

function eventsTable(events) {
  if (!events.length) return h("p", { class: "hint" }, "Nothing has been changed yet.");
  return table("Last changes", ["When", "What", "By", "Concerns", "Details"], events.map((event) => [
    format.time(event.eventTime),
    inWords(event.action),
    event.caller || "no key required",
    [Number(event.persons) > 0 && format.counted(event.persons, "person", "people"), Number(event.faces) > 0 && format.counted(event.faces, "face")].filter(Boolean).join(", "),
    Object.entries(event.details ?? {}).map(([name, value]) => `${name}: ${value}`).join(", "),
  ]));
}

/** An action's name in words: AUDIT_ACTION_MOVE_FACES is "move faces". */
function inWords(action) {
  return action.replace(/^AUDIT_ACTION_/, "").replaceAll("_", " ").toLowerCase();
}
