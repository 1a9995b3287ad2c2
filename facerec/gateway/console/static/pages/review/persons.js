/** People beside each other. */

import { h } from "../../dom.js";
import { call } from "../../rpc.js";
import { facts } from "../../parts/facts.js";
import * as format from "../../parts/format.js";
import { labelTags, personAddress, suspendedTag } from "../../parts/people.js";

/**
 * The persons by their ids; one who is gone is missing.
 *
 * @param {string[]} personIds
 * @param {import("../../main.js").Context} context
 * @returns {Promise<Object<string, Object>>}
 */
export async function readPersons(personIds, context) {
  const found = Object.create(null); // any text may be an id
  for (const personId of personIds) {
    const request = { collectionId: context.collectionId, personId };
    try {
      found[personId] = (await call("MatcherService/GetPerson", request, { signal: context.signal })).person;
    } catch (error) {
      if (error.code !== "not_found") throw error;
    }
  }
  return found;
}

/**
 * Faces by their ids, where each is still the person's of whom something is to be decided.
 *
 * @param {Array<[string, string]>} owners Ids of faces, each with its person's.
 * @param {import("../../main.js").Context} context
 * @returns {Promise<Object[]|null>} The faces in their order; null where one is gone or another person's.
 */
export async function readFaces(owners, context) {
  const found = [];
  for (const [faceId, personId] of owners) {
    const request = { collectionId: context.collectionId, faceId };
    try {
      found.push((await call("MatcherService/GetFace", request, { signal: context.signal })).face);
    } catch (error) {
      if (error.code !== "not_found") throw error;
      return null;
    }
    if (found.at(-1).personId !== personId) return null;
  }
  return found;
}

/**
 * What is known of a person, as one of two columns.
 *
 * @param {Object} person
 * @param {Array<[string, any]>} faces More rows.
 * @returns {HTMLElement}
 */
export function personColumn(person, faces) {
  return h("div", {},
    h("h3", {}, person.displayName || person.personId, suspendedTag(person)),
    facts([
      ["Id", h("a", { href: personAddress(person.personId) }, person.personId)],
      ["Faces", format.count(person.faceCount)],
      ["Labels", labelTags(person.labels)],
      ["Enrolled", format.time(person.createTime)],
      ...faces,
    ]));
}

/**
 * A face by the first part of its id and the caller's own reference.
 *
 * @param {Object} face
 * @returns {any[]} Children for an element.
 */
export function faceLine(face) {
  return [h("code", { title: face.faceId }, face.faceId.slice(0, 8)), face.externalRef ? ` ${face.externalRef}` : "",
    ` of ${format.time(face.createTime)}`];
}
