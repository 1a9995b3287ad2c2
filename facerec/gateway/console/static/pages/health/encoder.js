/** The encoder: what it computes, on which device, and what waits. */

import { h, replace } from "../../dom.js";
import { facts, state } from "../../parts/facts.js";
import * as format from "../../parts/format.js";
import { callShown } from "../../parts/shown_call.js";

/**
 * Show the encoder.
 *
 * @param {HTMLElement} root Where.
 * @param {import("../../main.js").Context} context
 */
export async function showEncoder(root, context) {
  const model = await callShown("EncoderService/GetModel", {}, context);
  const status = context.access.may("GetStatus") ? await callShown("EncoderService/GetStatus", {}, context) : null;
  replace(root, facts([
    ["State", status && state(status.serving, "serving", status.problem || "not serving")],
    ["Release", model.serverVersion],
    ["Network", model.name],
    ["Space", model.space],
    ["Runs on", [model.executionProvider, model.executionNote && h("p", { class: "hint" }, `Why not on another device: ${model.executionNote}`)]],
    ["Up for", status && format.duration(status.uptime)],
    ["Calls in flight", status && format.count(status.callsInFlight)],
    ["Images in flight", status && `${format.count(status.imagesInFlight)} of ${format.count(status.maxImages)}`],
    ["Faces waiting", status && format.count(status.waitingFaces)],
  ]));
}
