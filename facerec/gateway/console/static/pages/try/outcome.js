/** What an enrollment did, in words, and what to do about it. */

import { h, announce } from "../../dom.js";
import * as format from "../../parts/format.js";
import { qualityLine } from "./mode.js";

/**
 * @param {Object} answer An EnrollResponse.
 * @param {import("../../main.js").Context} context
 * @returns {HTMLElement}
 */
export function enrolled({ person, faces, personCreated }, { access }) {
  const name = person.displayName || person.personId;
  const added = faces.filter((face) => !face.alreadyEnrolled).length;
  const text = personCreated ? `${name} is enrolled with ${format.counted(added, "face")}.`
    : added ? `${format.counted(added, "face")} added to ${name}, who now has ${format.count(person.faceCount)}.`
      : `Nothing was added: ${name} had ${faces.length > 1 ? "these pictures" : "this picture"} already.`;
  announce(text);
  return h("div", {}, h("p", { class: added ? "good" : "" }, h("b", {}, text)), faces.map((face) => [
    face.duplicate && duplicate(face.duplicate, name, access),
    face.inconsistency && inconsistency(face.inconsistency, name),
    face.quality?.reasons?.length > 0 && qualityLine(face.quality),
  ]));
}

function duplicate({ personId, distance }, name, access) {
  return h("p", { class: "notice" },
    `The face is also like that of ${personId}${at(distance)}. If ${name} and ${personId} are one person, `,
    access.may("MergePersons") && access.may("ListDuplicates") ? h("a", { href: "#/review" }, "merge them on the page Review") : "have them merged", ".");
}

function inconsistency({ personId, distance, ownDistance }, name) {
  const own = ownDistance === undefined ? "" : ` (${format.distance(ownDistance)})`;
  return h("p", { class: "notice" },
    `The face is nearer to ${personId}${at(distance)} than to the faces that ${name} had${own}. Look who is in the picture: `,
    `if it is ${personId}, move the face to them.`);
}

function at(distance) {
  return distance === undefined ? "" : ` (distance ${format.distance(distance)})`;
}
