/** Enroll: pictures of one person, under a name. */

import { h } from "../../dom.js";
import { refusedPicture } from "../../parts/advice.js";
import { PhotoInput } from "../../parts/photo_input.js";
import { enrollForm } from "./enroll_form.js";
import { faceList, nameOf } from "./face_list.js";
import { Answer, largestFaceChoice, send } from "./mode.js";

const INTRODUCTION = "The pictures themselves are not stored: each face becomes 128 numbers. Two or three pictures, taken on different days, work best.";

/**
 * The mode.
 *
 * @param {import("../../main.js").Context} context
 * @returns {import("./mode.js").Mode & {begin: (given: {photos: File[], name: string}) => void}}
 */
export default function enrollMode(context) {
  const answer = new Answer(context.signal);
  const input = new PhotoInput({
    label: "One or several pictures of the person", multiple: true, signal: context.signal, onchange: () => answer.clear(),
  });
  const largest = largestFaceChoice(() => answer.clear());
  const place = h("div", {});

  function form(name = "") {
    const made = enrollForm(context, {
      photos: async () => input.photos, useLargestFace: () => largest.input.checked, name, onenrolled: look,
      onrefused: (error) => input.mark(error && refusedPicture(error)),
    });
    place.replaceChildren(made.root);
    return made;
  }

  /** Show the outcome, and how the first picture is identified now. */
  function look(outcome, [photo]) {
    const done = h("div", { class: "card outcome" }, outcome);
    if (!context.access.may("Identify")) return answer.clear(done);
    return answer.show("Identifying the picture again …", async (signal) => {
      const found = await send(context, "Identify", { allFaces: true }, [["image", photo]], signal);
      const again = h("h2", {}, "The picture is identified now");
      return { shown: [done, again, faceList(found, context)], said: found.faces.map((face) => nameOf(face) || "nobody").join(", ") };
    });
  }

  function begin({ photos, name }) {
    input.clear();
    input.give(photos);
    form(name).focus();
  }

  form();
  return {
    root: h("div", {}, h("p", { class: "hint" }, INTRODUCTION), h("div", { class: "columns" }, h("div", { class: "inputs" }, input.root, largest.root, place), answer.root)),
    give: (files) => input.give(files), leave: () => input.stopCamera(), begin,
  };
}
