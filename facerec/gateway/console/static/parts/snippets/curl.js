/** Calls as commands of curl: photos as files of a form, other requests as JSON. */

import { SERVICES, snake } from "./requests.js";
import { command, keyOption, quote } from "./shell.js";

const MAPS = new Set(["labels", "metadata"]);

/** See `snippet`. */
export default function curl(call, { origin, keysRequired }) {
  const [service, name] = call.method.split("/");
  const key = keyOption(keysRequired);
  if (!call.photos?.length) {
    const url = `${origin}/${SERVICES[service].name}/${name}`;
    return command("curl", [...key, `--json ${quote(JSON.stringify(call.request))}`, quote(url)]);
  }
  const photos = call.photos.map((photo) => `-F ${photo.field}=${file(photo.name)}`);
  const { probe, ...others } = call.request;
  const request = { ...others, ...(probe && { [photos.length > 1 ? "probes" : "probe"]: probe }) };
  const fields = flatten(request).map(([field, text]) => formField(field, text));
  return command("curl", [...key, ...photos, ...fields, quote(`${origin}/v1/${name.toLowerCase()}`)]);
}

/** A file as curl's -F takes it: in its own quotes where the name has what -F reads as something else. */
function file(name) {
  const path = name.startsWith("-") ? `./${name}` : name;
  return quote(/^[\w./-]+$/.test(path) ? `@${path}` : `@"${path.replace(/["\\]/g, "\\$&")}"`);
}

/** A field of a form; -F would take a text that begins with @ or < as the name of a file, and a semicolon as a type. */
function formField(field, text) {
  return /^[\w.:/-]+$/.test(text) ? `-F ${field}=${text}` : `--form-string ${quote(`${field}=${text}`)}`;
}

/** The fields of a form for a request: paths with dots, and lists as fields that are given several times. */
function flatten(request, path = "") {
  return Object.entries(request).flatMap(([key, value]) => {
    const field = path + snake(key);
    if (Array.isArray(value) && value.every((each) => typeof each === "object")) {
      return inTurn(value.map((each) => flatten(each, `${field}.`)));
    }
    if (Array.isArray(value)) return value.map((each) => [field, String(each)]);
    if (typeof value !== "object") return [[field, String(value)]];
    return MAPS.has(key) ? [[field, JSON.stringify(value)]] : flatten(value, `${field}.`);
  });
}

/** The fields of each photo: once where all photos have the same text, else in the photos' order. */
function inTurn(lists) {
  return (lists[0] ?? []).flatMap(([field, first]) => {
    const texts = lists.map((list) => list.find(([name]) => name === field)?.[1] ?? first);
    return (new Set(texts).size === 1 ? [first] : texts).map((text) => [field, text]);
  });
}
