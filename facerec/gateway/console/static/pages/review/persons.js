/** People beside each other. */

import { h } from "../../dom.js";
import { call } from "../../rpc.js";
import { facts } from "../../parts/facts.js";
import * as format from "../../parts/format.js";
import { labelTags, personAddress } from "../../parts/people.js";

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
 * What is known of a person, as one of two columns.
 *
 * @param {string} personId
 * @param {Object} [person] Missing for one who is gone.
 * @param {Array<[string, any]>} faces More rows.
 * @returns {HTMLElement}
 */
export function personColumn(personId, person, faces) {
  const rows = person ? [
    ["Id", h("a", { href: personAddress(personId) }, personId)],
    ["Faces", format.count(person.faceCount)],
    ["Labels", labelTags(person.labels)],
    ["Enrolled", format.time(person.createTime)],
    ...faces,
  ] : [["Id", personId], ["State", "no longer enrolled"]];
  return h("div", {},
    h("h3", {}, person?.displayName || personId),
    facts(rows));
}

/**
 * A face by the first part of its id and the caller's own reference.
 *
 * @param {string} faceId
 * @param {import("../../main.js").Context} context
 * @returns {Promise<any[]>} Children for an element.
 */
export async function faceLine(faceId, context) {
  const request = { collectionId: context.collectionId, faceId };
  const { face } = await call("MatcherService/GetFace", request, { signal: context.signal });
  return [h("code", { title: faceId }, faceId.slice(0, 8)), face.externalRef ? ` ${face.externalRef}` : "",
    ` of ${format.time(face.createTime)}`];
}
