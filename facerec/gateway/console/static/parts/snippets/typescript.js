/** Calls as programs in TypeScript, with the package `@facerec/client`. */

import { Code, withPhotos } from "./requests.js";

const CLIENTS = { MatcherService: "matcher", CollectionService: "collections", EncoderService: "encoder" };
const ENUMS = {
  kind: "AuditKind", scoreRule: "ScoreRule", duplicatePolicy: "DuplicatePolicy", consistencyPolicy: "ConsistencyPolicy",
};
const MAX_COLUMNS = 90;

/** See `snippet`. */
export default function typescript(call, { origin, keysRequired }) {
  const [service, name] = call.method.split("/");
  const client = CLIENTS[service];
  const imports = new Imports();
  imports.add("@facerec/client", "createFacerec");
  const request = withPhotos(call, (file, options) => {
    imports.add("node:fs/promises", "readFile");
    imports.add("@facerec/client", "photo");
    const largest = options.useLargestFace ? ", { useLargestFace: true }" : "";
    return new Code(`photo(await readFile(${write(file)})${largest})`);
  });
  const options = { baseUrl: origin, ...(keysRequired && { apiKey: new Code("process.env.FACEREC_API_KEY") }) };
  const written = write(convert(request, imports));
  return `${imports.lines().join("\n")}

const { ${client} } = createFacerec(${write(options)});
const answer = await ${client}.${name.charAt(0).toLowerCase()}${name.slice(1)}(${written});
console.log(answer);`;
}

/** The names that a program imports, by module. */
class Imports {
  constructor() {
    this.names = new Map();
  }

  add(module, name) {
    this.names.set(module, (this.names.get(module) ?? new Set()).add(name));
    return name;
  }

  lines() {
    const modules = [...this.names.keys()].sort((a, b) => b.startsWith("node:") - a.startsWith("node:") || (a < b ? -1 : 1));
    return modules.map((module) => `import { ${[...this.names.get(module)].sort().join(", ")} } from "${module}";`);
  }
}

/** A request of JSON as the package's messages have it: enums, times, 64-bit integers and choices differ. */
function convert(value, imports, key = "") {
  if (value instanceof Code || value === null) return value;
  if (key in ENUMS) return enumValue("@facerec/client/matcher", ENUMS[key], value, imports);
  if (key === "reasons") return value.map((each) => enumValue("@facerec/client/encoder", "QualityReason", each, imports));
  if (key === "retention" || key === "maxStaleness") return duration(value);
  if (key === "updateMask") return { paths: value.split(",").map((path) => path.replace(/[A-Z]/g, (c) => `_${c.toLowerCase()}`)) };
  if (key === "indexAboveFaces") return new Code(`${BigInt(value)}n`);
  if (/^(start|end|expire)Time$/.test(key)) {
    return new Code(`${imports.add("@bufbuild/protobuf/wkt", "timestampFromDate")}(new Date(${write(value)}))`);
  }
  if (/^probe(s|A|B)?$/.test(key)) return Array.isArray(value) ? value.map(probe) : probe(value);
  if (key === "metadata" || Array.isArray(value) || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, convert(each, imports, name)]));
}

function enumValue(module, type, name, imports) {
  const prefix = `${type.replace(/(?!^)[A-Z]/g, "_$&").toUpperCase()}_`;
  return new Code(`${imports.add(module, type)}.${name.slice(prefix.length)}`);
}

function duration(text) {
  const [seconds, fraction = ""] = text.replace("s", "").split(".");
  const nanos = Number(fraction.padEnd(9, "0"));
  return { seconds: new Code(`${BigInt(seconds)}n`), ...(nanos && { nanos }) };
}

/** A probe without a photo: a stored person or face. */
function probe(value) {
  const found = value instanceof Code ? undefined : ["personId", "faceId"].find((form) => form in value);
  return found ? { face: { case: found, value: value[found] } } : value;
}

/** A value as code, in one line where it is short. */
function write(value, indent = "") {
  if (value instanceof Code) return value.text;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  const inner = `${indent}  `;
  const parts = Array.isArray(value) ? value.map((each) => write(each, inner))
    : Object.entries(value).map(([name, each]) => `${keyName(name)}: ${write(each, inner)}`);
  const [open, close] = Array.isArray(value) ? ["[", "]"] : ["{", "}"];
  if (!parts.length) return open + close;
  const space = Array.isArray(value) ? "" : " ";
  const line = `${open}${space}${parts.join(", ")}${space}${close}`;
  if (indent.length + line.length <= MAX_COLUMNS - 20 && !line.includes("\n")) return line;
  return `${open}\n${parts.map((part) => `${inner}${part},\n`).join("")}${indent}${close}`;
}

function keyName(name) {
  if (name === "__proto__") return '["__proto__"]';
  return /^[A-Za-z_$][\w$]*$/.test(name) ? name : JSON.stringify(name);
}
