/** What becomes of a suspension when faces are given to another person, as MoveFaces and MergePersons have it. */

/**
 * What to agree to before a person's face is moved.
 *
 * @param {Object} person Whose face it is.
 * @param {Object|null} target Who gets it; null for nobody yet.
 * @param {string} personId The id of the target.
 * @returns {string} Empty for nothing.
 */
export function moveWarning(person, target, personId) {
  const [from, to] = [Boolean(person.suspended), Boolean(target?.suspended)];
  if (!target) return `Nobody has the id ${personId}: add them${from ? `, suspended as ${person.personId} is` : ""}.`;
  if (from && !to) return `${person.personId} is suspended and ${personId} is not: claims and searches find the face again.`;
  if (to && !from) return `${personId} is suspended and ${person.personId} is not: no claim and no search finds the face.`;
  return "";
}

/**
 * What to agree to before two people are merged.
 *
 * @param {Object} source Who is merged.
 * @param {Object|null} target Who is kept; null for nobody.
 * @returns {string} Empty for nothing.
 */
export function mergeWarning(source, target) {
  if (!target || Boolean(source.suspended) === Boolean(target.suspended)) return "";
  const suspended = source.suspended ? source : target;
  return `${suspended.personId} is suspended: ${target.personId} is suspended after the merge, and no claim and no search finds them.`;
}
