/** What to do about a picture or a person that a call refused. */

import { h } from "../dom.js";
import { failure } from "./messages.js";

const ADVICE = {
  FACE_NOT_FOUND: "Take a picture that shows the face from the front, lit evenly, and at least about 80 pixels wide.",
  FACE_AMBIGUOUS: "Take a picture of one person, or cut the others off. Or tick “Take the largest face of a picture that shows several”.",
  FACE_QUALITY: "Take another picture: sharp, evenly lit, the face looking into the camera. A collection's settings say which qualities it refuses.",
  FACE_DUPLICATE: "If both are one person, add the picture to the one who is enrolled. If not, a threshold may be too wide: see Thresholds.",
  FACE_INCONSISTENT: "Check who is in the picture: it may be the other person.",
  IMAGE_UNSUPPORTED: "Save the picture as JPEG or PNG and try again.",
  IMAGE_INVALID: "The file may be damaged: open it elsewhere, save it as JPEG or PNG and try again.",
  IMAGE_TOO_LARGE: "Make the picture smaller and try again: 1000 pixels are enough for a portrait.",
  PERSON_NOT_FOUND: "Check how the id is spelled, and that the right collection is chosen.",
  PERSON_SUSPENDED: "No claim of a suspended person is compared until somebody resumes them on the page People.",
  PERSON_FULL: "Delete old faces of the person first.",
  RATE_LIMITED: "Wait before you try again. After failed tries against one person that may take hours.",
};

/**
 * Which of several pictures a call refused.
 *
 * @param {import("../rpc.js").CallError} error
 * @returns {number|null} Its place among them; null where the error is about none.
 */
export function refusedPicture({ field }) {
  const found = /^(?:items|probes)\[(\d+)\]/.exec(field ?? "");
  return found && Number(found[1]);
}

/**
 * A failure, with what to do about it.
 *
 * @param {import("../rpc.js").CallError} error
 * @param {...any} more More children.
 * @returns {HTMLElement}
 */
export function refusal(error, ...more) {
  const advice = ADVICE[error.reason];
  return h("div", { role: "alert" }, failure(error), advice && h("p", {}, advice), more);
}
