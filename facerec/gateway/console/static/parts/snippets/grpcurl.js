/** Calls as commands of grpcurl, with photos in base64. */

import { Code, SERVICES, withPhotos } from "./requests.js";
import { command, keyOption, quote } from "./shell.js";

const PHOTO = `photo() { base64 < "$1" | tr -d '\\n'; }`;

/** See `snippet`. */
export default function grpcurl(call, { keysRequired }) {
  const [service, name] = call.method.split("/");
  const { name: fullName, address } = SERVICES[service];
  const target = `${address} ${fullName}/${name}`;
  const options = ["-plaintext", ...keyOption(keysRequired)].join(" ");
  if (!call.photos?.length) return command("grpcurl", [options, `-d ${quote(JSON.stringify(call.request))}`, target]);
  const request = withPhotos(call, (file, probe) => ({ ...probe, image: new Code(`"$(photo ${quote(file)})"`) }));
  const words = joined(json(request)).map((piece) => (piece instanceof Code ? piece.text : quote(piece)));
  return `${PHOTO}\nprintf '%s' ${words.join("")} |\n  grpcurl ${options} -d @ ${target}`;
}

/** JSON in pieces: texts, and the code between them whose output is the inside of a string. */
function json(value) {
  if (value instanceof Code) return ['"', value, '"'];
  if (Array.isArray(value)) return ["[", ...separated(value.map(json)), "]"];
  if (value === null || typeof value !== "object") return [JSON.stringify(value)];
  return ["{", ...separated(Object.entries(value).map(([key, each]) => [`${JSON.stringify(key)}: `, ...json(each)])), "}"];
}

function separated(lists) {
  return lists.flatMap((pieces, index) => (index ? [", ", ...pieces] : pieces));
}

/** The pieces with neighbouring texts as one. */
function joined(pieces) {
  return pieces.reduce((before, piece) => {
    const last = before.at(-1);
    return typeof piece === "string" && typeof last === "string" ? [...before.slice(0, -1), last + piece] : [...before, piece];
  }, []);
}
