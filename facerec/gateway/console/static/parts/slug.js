/** Ids of persons, proposed from their names. */

const LETTERS = { ß: "ss", æ: "ae", ø: "o", œ: "oe", ł: "l", đ: "d", ð: "d", þ: "th", ı: "i" };

/** A name in ASCII letters, digits and dashes; where it has none, a random id. */
export function slug(name) {
  if (!name.trim()) return "";
  const plain = name.toLowerCase().normalize("NFKD").replace(/\p{M}/gu, "").replace(/[ßæøœłđðþı]/g, (letter) => LETTERS[letter]);
  const found = plain.replace(/['’]/g, "").replace(/[^a-z0-9]+/g, "-").replace(/^-+|-+$/g, "").slice(0, 64);
  return found || `person-${randomId().slice(0, 8)}`;
}

/** A random id (a version 4 UUID), also on pages over plain HTTP, where crypto.randomUUID is missing. */
export function randomId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}
