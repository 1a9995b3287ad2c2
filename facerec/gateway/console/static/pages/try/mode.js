/** What the modes of the page share. */

import { h, announce, replace } from "../../dom.js";
import { post } from "../../rpc.js";
import { refusal, refusedPicture } from "../../parts/advice.js";
import { isCutOut } from "../../parts/crop.js";
import { qualityInWords } from "../../parts/messages.js";
import { snake } from "../../parts/snippets/requests.js";

const MAX_REFERENCE = 256;

/**
 * A way to try the services.
 *
 * @typedef {Object} Mode
 * @property {HTMLElement} root
 * @property {(files: File[]) => void} give Takes pictures that were pasted, or dropped beside its own places.
 * @property {() => void} leave Called when another mode is shown.
 */

/** The place of a mode's answer: one call at a time, the last one given. */
export class Answer {
  /** @param {AbortSignal} signal Ends all calls. */
  constructor(signal) {
    this.signal = signal;
    this.root = h("div", { class: "answer" });
    this.current = new AbortController();
  }

  /** Show nothing, and give up a call that is under way. */
  clear(...children) {
    this.current.abort();
    this.root.removeAttribute("aria-busy");
    replace(this.root, children);
  }

  /**
   * Make a call and show what it answers.
   *
   * @param {string} doing What is shown meanwhile.
   * @param {(signal: AbortSignal) => Promise<{shown: any, said: string}>} work Its elements, and what a screen reader says.
   * @param {(error: Error) => any} [onfailure] More elements for a failure.
   */
  async show(doing, work, onfailure = () => null) {
    this.clear(h("p", { class: "hint busy" }, doing));
    this.root.setAttribute("aria-busy", "true");
    const { signal } = this.current = new AbortController();
    try {
      const { shown, said } = await work(AbortSignal.any([this.signal, signal]));
      if (signal.aborted) return;
      replace(this.root, shown);
      this.root.firstElementChild?.scrollIntoView({ block: "nearest" });
      announce(said);
    } catch (error) {
      if (error.name === "AbortError" || error.code === "unauthenticated" || signal.aborted) return;
      replace(this.root, refusal(error, onfailure(error)));
    } finally {
      if (!signal.aborted) this.root.removeAttribute("aria-busy");
    }
  }
}

/**
 * Send a form with photos, and show the call as code.
 *
 * @param {import("../../main.js").Context} context
 * @param {string} name The method, such as `Verify`.
 * @param {Object} request Its request, without its photos, in JSON; what is said of a photo is in `probe`.
 * @param {Array<[string, File]>} photos The photos with their fields.
 * @param {AbortSignal} signal
 */
export function send(context, name, request, photos, signal) {
  const { collectionId } = context;
  const whole = { ...(collectionId !== "default" && { collectionId }), ...request };
  context.showCall({
    method: `MatcherService/${name}`, request: toContract(name, whole, photos),
    photos: photos.map(([field, file]) => ({ field, name: file.name, isCutOut: isCutOut(file) })),
  });
  const { probe, ...fields } = whole;
  const texts = Object.entries(fields).map(([field, value]) => [snake(field), value]);
  const largest = probe?.useLargestFace ? largestFields(name, photos.length).map((field) => [field, true]) : [];
  const references = name === "Enroll" ? photos.map(([, file]) => ["items.external_ref", reference(file)]) : [];
  return post(name, [...photos, ...texts, ...largest, ...references], { signal }).catch((error) => {
    const refused = photos.length > 1 && refusedPicture(error);
    if (Number.isInteger(refused) && photos[refused]) error.message = `${photos[refused][1].name}: ${error.message}`;
    throw error;
  });
}

/** What an enrolled face is found by later: the name of its file, as far as the contract takes it. */
function reference(file) {
  return [...file.name].slice(0, MAX_REFERENCE).join("");
}

/** A request as the contract has it: an option of all photos is in each probe. */
function toContract(name, { probe, ...request }, photos) {
  if (name === "Enroll") {
    return { ...request, items: photos.map(([, file]) => ({ ...(probe && { probe }), externalRef: reference(file) })) };
  }
  if (!probe) return request;
  return { ...request, ...{ Verify: { probe }, Compare: { probeA: probe, probeB: probe } }[name] };
}

function largestFields(name, count) {
  const prefixes = { Enroll: ["items.probe"], Verify: [count > 1 ? "probes" : "probe"], Compare: ["probe_a", "probe_b"] }[name];
  return prefixes.map((prefix) => `${prefix}.use_largest_face`);
}

/**
 * A box to tick for pictures that show several faces.
 *
 * @param {() => void} onchange
 * @returns {{root: HTMLElement, input: HTMLInputElement}}
 */
export function largestFaceChoice(onchange) {
  return choice("Take the largest face of a picture that shows several", onchange);
}

/**
 * A box to tick.
 *
 * @param {string} text
 * @param {() => void} onchange
 * @returns {{root: HTMLElement, input: HTMLInputElement}}
 */
export function choice(text, onchange) {
  const input = h("input", { type: "checkbox", onchange });
  return { root: h("label", { class: "choice" }, input, text), input };
}

/**
 * A decision, large.
 *
 * @param {boolean} match
 * @param {string} text
 * @returns {HTMLElement}
 */
export function verdict(match, text) {
  return h("p", { class: `verdict ${match ? "good" : "bad"}` }, h("span", { "aria-hidden": "true" }, match ? "✓ " : "✗ "), text);
}

/**
 * The quality of a face as a line; nothing where it is not known.
 *
 * @param {Object} [quality] The contract's Quality.
 * @param {string} name Whose it is.
 * @returns {HTMLElement|null}
 */
export function qualityLine(quality, name = "") {
  if (!quality) return null;
  const text = qualityInWords(quality);
  return h("p", { class: quality.reasons?.length ? "quality poor" : "quality" }, name ? `${name}: ${text.charAt(0).toLowerCase()}${text.slice(1)}` : text);
}

/**
 * What is said once to callers who see decisions alone.
 *
 * @param {import("../../access.js").Access} access
 * @returns {HTMLElement|false}
 */
export function withoutScores(access) {
  return !access.scores && h("p", { class: "hint" }, "Your key shows decisions, not distances.");
}
