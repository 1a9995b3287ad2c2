/** Values of requests as Python. */

import { Code } from "./requests.js";

/**
 * A value as a literal of Python. JSON's strings are Python's too.
 *
 * @param {any} value
 * @returns {string}
 */
export function literal(value) {
  if (value instanceof Code) return value.text;
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (Array.isArray(value)) return `[${value.map(literal).join(", ")}]`;
  if (typeof value !== "object") return JSON.stringify(value);
  return `{${Object.entries(value).map(([key, each]) => `${JSON.stringify(key)}: ${literal(each)}`).join(", ")}}`;
}

/**
 * The short name of an enum's value, as the client has it.
 *
 * @param {string} value Such as `AUDIT_KIND_CHANGES`.
 * @param {string} prefix What all values of the enum begin with.
 * @returns {string}
 */
export function shortName(value, prefix) {
  return value.slice(prefix.length).toLowerCase();
}

/**
 * The seconds of a duration, such as `3600s`.
 *
 * @param {string} text
 * @returns {number}
 */
export function seconds(text) {
  return Number(text.replace("s", ""));
}

/**
 * A time of JSON as a datetime.
 *
 * @param {string} text
 * @param {Object} program What it imports is added there.
 * @returns {import("./requests.js").Code}
 */
export function time(text, program) {
  program.modules.add("datetime");
  return new Code(`datetime.datetime.fromisoformat(${literal(text)})`);
}

/**
 * The settings of a collection as the client's CollectionSettings.
 *
 * @param {Object} found The contract's CollectionSettings.
 * @param {Object} program What it imports is added there.
 * @returns {import("./requests.js").Code}
 */
export function settings({ quality = {}, search = {}, ...others }, program) {
  const values = { ...others, ...search, minFacePixels: quality.minFacePixels };
  if (quality.refused) {
    const names = (quality.refused.reasons ?? []).map((reason) => reason.replace("QUALITY_REASON_", ""));
    values.refusedQualities = new Code(`(${names.map((name) => `${literal(name)},`).join(" ")})`);
  }
  if (others.duplicatePolicy) values.duplicatePolicy = shortName(others.duplicatePolicy, "DUPLICATE_POLICY_");
  if (others.consistencyPolicy) values.consistencyPolicy = shortName(others.consistencyPolicy, "CONSISTENCY_POLICY_");
  if (others.scoreRule) values.scoreRule = shortName(others.scoreRule, "SCORE_RULE_");
  if (search.indexAboveFaces) values.indexAboveFaces = Number(search.indexAboveFaces);
  if (others.retention) {
    program.modules.add("datetime");
    values.retention = new Code(`datetime.timedelta(seconds=${seconds(others.retention)})`);
  }
  program.names.add("CollectionSettings");
  const keywords = program.keywords(values);
  const line = keywords.join(", ");
  return new Code(line.length <= 40 ? `CollectionSettings(${line})`
    : `CollectionSettings(\n${keywords.map((each) => `            ${each},\n`).join("")}        )`);
}

/**
 * What UpdatePerson changes, as the client's arguments: its mask says what is removed.
 *
 * @param {Object} request An UpdatePersonRequest without the names of the person.
 * @returns {Object<string, any>}
 */
export function changes({ updateMask, displayName, labels, metadata, suspended }) {
  const paths = updateMask?.split(",") ?? [];
  const named = paths.filter((path) => path.startsWith("labels.")).map((path) => path.slice("labels.".length));
  const changed = Object.fromEntries(named.map((key) => [key, labels?.[key] ?? null]));
  return {
    displayName: displayName ?? (paths.includes("displayName") ? "" : undefined),
    labels: paths.includes("labels") ? labels ?? {} : named.length ? changed : labels,
    replaceLabels: paths.includes("labels") || undefined,
    metadata: metadata ?? (paths.includes("metadata") ? {} : undefined),
    suspended: suspended ?? (paths.includes("suspended") ? false : undefined),
  };
}
