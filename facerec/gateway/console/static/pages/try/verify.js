/** Verify a claim: whether pictures show the person whose id is given. */

import { h } from "../../dom.js";
import { refusedPicture } from "../../parts/advice.js";
import { distanceBar } from "../../parts/distance_bar.js";
import * as format from "../../parts/format.js";
import { personInput } from "../../parts/person_input.js";
import { PhotoInput } from "../../parts/photo_input.js";
import { Answer, largestFaceChoice, qualityLine, send, verdict, withoutScores } from "./mode.js";

const RULES = {
  SCORE_RULE_NEAREST: "The nearest face decides.",
  SCORE_RULE_ROOT_MEAN_SQUARE: "The root mean square of the distances to all faces decides.",
};

const INTRODUCTION = "The pictures are compared with the faces of one person, whom you name.";

/**
 * The mode.
 *
 * @param {import("../../main.js").Context} context
 * @param {(id: string, given?: Object) => void} go Shows another mode.
 * @returns {import("./mode.js").Mode}
 */
export default function verifyMode(context, go) {
  const answer = new Answer(context.signal);
  const person = personInput(context, { id: "verify-person", oninput: () => answer.clear() });
  const input = new PhotoInput({
    label: "One or several pictures of the person", multiple: true, signal: context.signal, onchange: () => decideIfReady(),
  });
  const largest = largestFaceChoice(() => decideIfReady());

  function decideIfReady() {
    answer.clear();
    if (person.input.value.trim() && input.photos.length) decide();
  }

  function decide() {
    const personId = person.input.value.trim();
    if (!input.photos.length) {
      answer.clear(h("p", { class: "notice", role: "alert" }, "Give a picture of the person first."));
      return;
    }
    const request = { personId, ...(largest.input.checked && { probe: { useLargestFace: true } }) };
    input.mark(null);
    answer.show("Comparing …", async (signal) => {
      const found = await send(context, "Verify", request, input.photos.map((photo) => ["image", photo]), signal);
      return { shown: shown(found, personId), said: found.match ? `Match: this is ${personId}` : `No match: this is not ${personId}` };
    }, (error) => {
      input.mark(refusedPicture(error));
      return error.reason === "PERSON_NOT_FOUND" && enrollInstead(personId);
    });
  }

  function enrollInstead(personId) {
    const enroll = () => go("enroll", { photos: input.photos, name: personId });
    return context.access.may("Enroll") && h("button", { type: "button", onclick: enroll }, `Enroll ${personId} …`);
  }

  function shown(found, personId) {
    const qualities = found.quality ? [found.quality] : found.qualities ?? [];
    return h("div", { class: "card" },
      verdict(found.match, found.match ? "Match" : "No match"),
      h("p", {}, said(found), h("b", {}, personId), "."),
      found.distance !== undefined && distanceBar(found.distance, found.threshold),
      h("p", { class: "hint" }, `${format.counted(found.facesCompared, "stored face")} compared with ${format.counted(found.photos || 1, "picture")}. `,
        (found.facesCompared > 1 || found.photos > 1) && RULES[found.scoreRule]),
      qualities.map((quality, index) => qualityLine(quality, qualities.length > 1 ? input.photos[index]?.name : "")),
      withoutScores(context.access));
  }

  function said({ match, photos }) {
    if (photos > 1) return match ? "The pictures show " : "The pictures do not show ";
    return match ? "The picture shows " : "The picture does not show ";
  }

  const submit = (event) => {
    event.preventDefault();
    decide();
  };
  return {
    root: h("div", {}, h("p", { class: "hint" }, INTRODUCTION), h("div", { class: "columns" },
      h("form", { class: "inputs", onsubmit: submit },
        h("label", { class: "label", for: "verify-person" }, "Id of the person"), person.root,
        input.root, largest.root, h("div", {}, h("button", { class: "primary" }, "Verify"))),
      answer.root)),
    give: (files) => input.give(files), leave: () => input.stopCamera(),
  };
}
