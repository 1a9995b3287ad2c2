/** Numbers and times as text. */

/**
 * A distance between two encodings.
 *
 * @param {number} [value] Missing where the caller may not see it.
 * @returns {string}
 */
export function distance(value) {
  return value === undefined ? "withheld" : Number(value).toFixed(3);
}

/**
 * A count; 64-bit integers arrive as text.
 *
 * @param {number|string} [value]
 * @returns {string}
 */
export function count(value) {
  return Number(value ?? 0).toLocaleString("en");
}

/**
 * "1 person", "2 persons".
 *
 * @param {number|string} [value]
 * @param {string} one The noun.
 * @param {string} many Its plural.
 * @returns {string}
 */
export function counted(value, one, many = `${one}s`) {
  return `${count(value)} ${Number(value ?? 0) === 1 ? one : many}`;
}

/**
 * A time of the contract in the reader's zone.
 *
 * @param {string} [text] A timestamp of the contract.
 * @returns {string} Empty without one.
 */
export function time(text) {
  if (!text) return "";
  return new Date(text).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" });
}

/**
 * A share as a percentage with as many digits as it needs.
 *
 * @param {number} [share] From 0 to 1.
 * @returns {string}
 */
export function percent(share) {
  const value = Number(share ?? 0) * 100;
  if (value === 0) return "0 %";
  return `${value >= 10 ? value.toFixed(1) : value.toPrecision(2)} %`;
}

/**
 * A share with its interval.
 *
 * @param {{value: number, low: number, high: number}} found
 * @returns {string}
 */
export function interval({ value, low, high }) {
  return `${percent(value)} (${percent(low)} to ${percent(high)})`;
}

/**
 * A duration of the contract, such as "93784s", in its two largest units.
 *
 * @param {string} [text]
 * @returns {string}
 */
export function duration(text) {
  const seconds = parseFloat(text ?? "0");
  const parts = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  const at = parts.findIndex(([size]) => seconds >= size);
  if (at < 0) return "less than 1 s";
  const [size, unit] = parts[at];
  const [smaller, smallerUnit] = parts[at + 1] ?? [];
  const rest = smaller ? Math.floor((seconds % size) / smaller) : 0;
  return `${Math.floor(seconds / size)} ${unit}${rest ? ` ${rest} ${smallerUnit}` : ""}`;
}
