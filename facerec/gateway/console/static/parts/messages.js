/** Errors, notices and words for what the services answer. */

import { h } from "../dom.js";

/**
 * A failure, with what to do about it as the service says.
 *
 * @param {Error|import("../rpc.js").CallError} error
 * @returns {HTMLElement}
 */
export function failure(error) {
  const about = [
    error.field && `Field: ${error.field}`,
    error.retryAfterSeconds && `Retry after ${error.retryAfterSeconds} s`,
    error.reason && `Reason: ${error.reason}`,
    error.requestId && `Request: ${error.requestId}`,
  ].filter(Boolean);
  return h("div", { class: "failure" },
    h("p", {}, sentence(error.message)),
    about.length > 0 && h("p", { class: "hint" }, about.join(" · ")));
}

/** What is shown until the first answer. */
export function reading() {
  return h("p", { class: "hint busy" }, "Reading …");
}

/** A text with a capital letter and a full stop. */
function sentence(text) {
  const whole = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?…]$/.test(whole) ? whole : `${whole}.`;
}

/** Why a face is of poor quality, in words, by the name of the contract's QualityReason. */
const QUALITY_REASONS = {
  QUALITY_REASON_TOO_SMALL: "too few pixels",
  QUALITY_REASON_BLURRED: "blurred",
  QUALITY_REASON_TOO_DARK: "too dark",
  QUALITY_REASON_TOO_BRIGHT: "too bright",
  QUALITY_REASON_LOW_CONTRAST: "low contrast",
  QUALITY_REASON_TURNED: "turned away",
  QUALITY_REASON_CUT_BY_BORDER: "cut by the picture's border",
  QUALITY_REASON_NOISY: "noisy",
  QUALITY_REASON_COMPRESSED: "strongly compressed",
  QUALITY_REASON_UNEVEN_LIGHT: "partly in shadow",
};

/**
 * The quality of a face in words; an empty text where it is not known.
 *
 * @param {Object} [quality] The contract's Quality.
 * @returns {string}
 */
export function qualityInWords(quality) {
  if (!quality) return "";
  const reasons = (quality.reasons ?? []).map((reason) => QUALITY_REASONS[reason] ?? reason);
  return reasons.length ? `Poor for comparison: ${reasons.join(", ")}` : `Good for comparison, ${quality.facePixels} pixels`;
}
