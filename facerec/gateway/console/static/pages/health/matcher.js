/** The matcher: its database, standbys, queues and maintenance. */

import { h, replace } from "../../dom.js";
import { facts, state } from "../../parts/facts.js";
import * as format from "../../parts/format.js";
import { table } from "../../parts/table.js";
import { callShown } from "../../parts/shown_call.js";

const STANDBY_STATES = {
  STANDBY_STATE_USABLE: "read from",
  STANDBY_STATE_UNAVAILABLE: "cannot be connected to",
  STANDBY_STATE_UNRESPONSIVE: "does not answer in time",
  STANDBY_STATE_LAGGING: "lags behind",
  STANDBY_STATE_PROMOTED: "is no standby any more",
  STANDBY_STATE_OTHER_DATABASE: "is a copy of another database",
  STANDBY_STATE_OTHER_TIMELINE: "follows another primary",
  STANDBY_STATE_CONFLICT: "cancelled a read for the sake of replay",
};

/**
 * Show the replica that answers.
 *
 * @param {HTMLElement} root Where.
 * @param {import("../../main.js").Context} context
 */
export async function showMatcher(root, context) {
  const status = await callShown("CollectionService/GetStatus", {}, context);
  const { database, encoder } = status;
  replace(root,
    facts([
      ["State", state(status.serving, "serving", "not serving")],
      ["Release", status.serverVersion],
      ["Up for", format.duration(status.uptime)],
      ["Calls in flight", format.count(status.callsInFlight)],
      ["Database", state(database.ready, "ready", database.problem || "not ready")],
      ["Schema", `${database.schemaVersion} (the release needs ${database.releaseSchemaVersion})`],
      ["Its encoder", state(encoder.reachable, "reachable", encoder.problem || "not reachable")],
    ]),
    queuesTable(status.queues), standbysTable(status.standbys), maintenance(status.maintenance));
}

function queuesTable(queues) {
  return [h("h3", {}, "Queues"), table("Queues", ["Work", "In use", "Limit", "Waiting"], queues.map((queue) => [
    queue.kind, format.count(queue.inUse), format.count(queue.limit), format.count(queue.waiting),
  ]))];
}

function standbysTable(standbys) {
  if (!standbys.length) return [h("h3", {}, "Standbys"), h("p", { class: "hint" }, "None is configured: the primary answers all reads.")];
  return [h("h3", {}, "Standbys"), table("Standbys", ["Standby", "State", "Lag", "Staleness", "Reads in flight"], standbys.map((standby) => [
    standby.number,
    state(standby.state === "STANDBY_STATE_USABLE", "read from", STANDBY_STATES[standby.state] ?? standby.state),
    standby.lagBytes === undefined ? "unknown" : `${format.count(standby.lagBytes)} bytes`,
    standby.stalenessSeconds === undefined ? "unknown" : `${standby.stalenessSeconds.toFixed(1)} s`,
    format.count(standby.readsInFlight),
  ]))];
}

function maintenance(found) {
  const title = h("h3", {}, "Maintenance");
  if (!found) return [title, h("p", { class: "hint" }, "Not read yet.")];
  return [title,
    found.steps.length > 0 ? table("Maintenance", ["Step", "Last success", "Failures", "Collections with work left"], found.steps.map((step) => [
      step.step, format.time(step.successTime) || "never", format.count(step.failures), format.count(step.collectionsWaiting),
    ])) : h("p", { class: "hint" }, "maintain has not run yet."),
    facts([
      ["Erasures without a vacuum", many(found.unvacuumedErasures)],
      ["Oldest of them", format.time(found.oldestErasureTime)],
      ["Erasures without a rewrite", many(found.unscrubbedErasures)],
    ])];
}

/** A count that ends at 1000. */
function many(count) {
  return count >= 1000 ? "1,000 or more" : format.count(count);
}
