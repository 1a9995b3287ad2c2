/** People as links and tags. */

import { h } from "../dom.js";

/**
 * The address of a person's page.
 *
 * @param {string} personId
 * @returns {string}
 */
export function personAddress(personId) {
  return `#/people/person/${encodeURIComponent(personId)}`;
}

/**
 * A tag for a person who is suspended; nothing for another.
 *
 * @param {Object} person
 * @returns {Array<Node|string>|undefined|false} Children for an element.
 */
export function suspendedTag(person) {
  return person.suspended && [" ", h("span", { class: "tag" }, "suspended")];
}

/**
 * Labels, each as a tag.
 *
 * @param {Object<string, string>} [labels]
 * @returns {Array<Array<Node|string>>} Children for an element.
 */
export function labelTags(labels) {
  return Object.entries(labels ?? {}).map(([key, value]) => [h("span", { class: "tag" }, `${key}=${value}`), " "]);
}
