/** What has become of an erasure. */

import { h, replace } from "../../dom.js";
import { call } from "../../rpc.js";
import { facts } from "../../parts/facts.js";
import * as format from "../../parts/format.js";

const POLL_MILLISECONDS = 5000;
const WORDS = {
  ERASURE_STATE_PENDING: "Erased for every call. The rows' bytes are still in the database's files, until vacuum has removed them.",
  ERASURE_STATE_VACUUMED: "Vacuum has removed the rows. Their bytes may still be in free space of the files.",
  ERASURE_STATE_SCRUBBED: "The files have been rewritten without the erased bytes.",
};

/**
 * The address of an erasure's page.
 *
 * @param {string} erasureId
 * @returns {string}
 */
export function erasureAddress(erasureId) {
  return `#/people/erasure/${encodeURIComponent(erasureId)}`;
}

/**
 * Show an erasure, until its files have been rewritten.
 *
 * @param {HTMLElement} root Where.
 * @param {string} erasureId
 * @param {import("../../main.js").Context} context
 */
export async function showErasure(root, erasureId, context) {
  const request = { collectionId: context.collectionId, erasureId };
  context.showCall({ method: "MatcherService/GetErasure", request });
  for (;;) {
    const found = await call("MatcherService/GetErasure", request, { signal: context.signal });
    replace(root, receipt(erasureId, found));
    if (found.state === "ERASURE_STATE_SCRUBBED") return;
    await wait(POLL_MILLISECONDS, context.signal);
  }
}

function receipt(erasureId, found) {
  const rows = [
    ["Erasure", h("code", {}, erasureId)],
    ["Erased", `${format.counted(found.personsDeleted, "person")}, ${format.counted(found.facesDeleted, "face")}`],
    ["Committed", format.time(found.deleteTime)],
    ["Vacuumed", format.time(found.vacuumTime) || "not yet"],
    ["Files rewritten", format.time(found.scrubTime) || "not yet"],
  ];
  return [
    h("h1", {}, "Erasure"),
    h("p", { role: "status" }, WORDS[found.state] ?? found.state),
    facts(rows),
    h("p", { class: "hint" }, "The vacuum is made by the service maintain the next time it runs, which facerec up does by itself. ",
      "The files are rewritten only if an operator runs maintain with --scrub. Backups and the write-ahead log keep what they ",
      "hold until they expire. This page follows the erasure, and its address can be kept."),
    h("p", {}, h("a", { href: "#/people" }, "All people")),
  ];
}

function wait(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}
