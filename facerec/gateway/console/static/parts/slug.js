/** Ids of persons, proposed from their names. */

import { randomId } from "./random_id.js";

const LETTERS = { ß: "ss", æ: "ae", ø: "o", œ: "oe", ł: "l", đ: "d", ð: "d", þ: "th", ı: "i" };

/**
 * A name in ASCII letters, digits and dashes; where it has none, a random id.
 *
 * @param {string} name
 * @returns {string} Empty for an empty name.
 */
export function slug(name) {
  if (!name.trim()) return "";
  const plain = name.toLowerCase().normalize("NFKD").replace(/\p{M}/gu, "").replace(/[ßæøœłđðþı]/g, (letter) => LETTERS[letter]);
  const found = plain.replace(/['’]/g, "").replace(/[^a-z0-9]+/g, "-").replace(/^-+|-+$/g, "").slice(0, 64);
  return found || `person-${randomId().slice(0, 8)}`;
}
