/** Who is it: every face of a picture, searched for among the people enrolled. */

import { h, append, objectUrl, replace } from "../../dom.js";
import { boxes } from "../../parts/boxes.js";
import { crop } from "../../parts/crop.js";
import * as format from "../../parts/format.js";
import { PhotoInput } from "../../parts/photo_input.js";
import { enrollForm } from "./enroll_form.js";
import { faceList, nameOf } from "./face_list.js";
import { Answer, choice, send } from "./mode.js";

const SMALL = { minPixels: 40, share: 1 / 30 }; // of the longer side

const INTRODUCTION = "Every face of the picture is searched for in the collection.";

/**
 * The mode.
 *
 * @param {import("../../main.js").Context} context
 * @returns {import("./mode.js").Mode}
 */
export default function identifyMode(context) {
  const answer = new Answer(context.signal);
  const input = new PhotoInput({ label: "Picture", signal: context.signal, onchange: search });

  const small = choice("Find small faces too, which takes longer", () => search(input.photos));

  function search([photo], before = null) {
    if (!photo) return answer.clear();
    input.figures[0]?.querySelector("svg")?.remove();
    return answer.show("Searching …", async (signal) => {
      const decoded = input.image();
      const request = { allFaces: true, ...(small.input.checked && { minFacePixels: smallest(await decoded) }) };
      const [found, image] = await Promise.all([send(context, "Identify", request, [["image", photo]], signal), decoded]);
      return { shown: [before, ...shown(found, image, photo)], said: inWords(found) };
    });
  }

  function shown(found, image, photo) {
    if (!found.faces.length) {
      return [h("h2", {}, "No face was found"), h("p", {}, "Take a picture that shows a face from the front, lit evenly, and not too small.")];
    }
    const drawn = image && overlay(found, image);
    const actions = (face, index) => !nameOf(face) && context.access.may("Enroll") && unknownFace(found, index, image, photo);
    return [h("h2", {}, format.counted(found.faces.length, "face")), faceList(found, context, { image, highlight: drawn?.highlight, actions })];
  }

  function overlay(found, image) {
    const drawn = boxes(image, found.faces.map((face, index) => ({
      box: face.boundingBox, known: Boolean(nameOf(face)),
      label: [found.faces.length > 1 && `${index + 1}`, nameOf(face) || "unknown"].filter(Boolean).join(" "),
    })));
    append(image.parentElement, drawn.root);
    return drawn;
  }

  /** A button that opens the form to enroll an unknown face. */
  function unknownFace(found, index, image, photo) {
    const isAlone = found.faces.length === 1;
    if (!isAlone && !image) {
      return h("p", { class: "hint" }, "To enroll one of several faces, use a picture that the browser shows, such as a JPEG.");
    }
    const root = h("div", { class: "enroll" });
    const open = async () => {
      const part = isAlone ? photo : await crop(image, found.faces.map((face) => face.boundingBox), index, photo.name);
      const form = enrollForm(context, {
        photos: async () => [part],
        onenrolled: (outcome) => search([photo], h("div", { class: "card outcome" }, outcome, !isAlone && download(part))),
        oncancel: () => {
          replace(root, begin);
          begin.focus();
        },
      });
      replace(root, form.root, !isAlone && download(part));
      form.focus();
    };
    const begin = h("button", { type: "button", onclick: open }, "Enroll this face …");
    append(root, begin);
    return root;
  }

  return {
    root: h("div", {}, h("p", { class: "hint" }, INTRODUCTION), h("div", { class: "columns" },
      h("div", { class: "place" }, input.root, small.root), answer.root)),
    give: (files) => input.give(files), leave: () => input.stopCamera(),
  };
}

/** A link that saves the picture of one face, which the code of the page reads as a file. */
function download(part) {
  return h("p", { class: "hint" }, h("a", { href: objectUrl(part), download: part.name }, "Download the cut-out"),
    `, ${part.name}: the calls as code read it.`);
}

/** The smallest face to find, in pixels: the smaller, the costlier. */
function smallest(image) {
  return Math.max(SMALL.minPixels, Math.round(Math.max(image?.naturalWidth ?? 0, image?.naturalHeight ?? 0) * SMALL.share));
}

function inWords({ faces }) {
  const names = faces.map((face) => nameOf(face) || "nobody who is enrolled");
  return faces.length ? `${format.counted(faces.length, "face")}: ${names.join(", ")}` : "No face was found";
}
