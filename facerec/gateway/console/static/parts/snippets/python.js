/** Calls as programs in Python, with the methods of `facerec.client`. */

import { Code, SERVICES, snake } from "./requests.js";
import { changes, literal, seconds, settings, shortName, time } from "./python_values.js";

const MAX_COLUMNS = 84;

const CLIENTS = {
  MatcherService: ["MatcherClient", "matcher"],
  CollectionService: ["CollectionClient", "collections"],
  EncoderService: ["EncoderClient", "encoder"],
};

/** The fields that a method takes by position, before its photos; the others it takes by name. */
const POSITIONAL = {
  Verify: ["personId"], Enroll: ["personId"], GetPerson: ["personId"], ListFaces: ["personId"],
  UpdatePerson: ["personId"], RenamePerson: ["personId", "newPersonId"], MoveFaces: ["faceIds", "targetPersonId"],
  MergePersons: ["sourcePersonId", "targetPersonId"], DeletePerson: ["personId"], DeleteFace: ["faceId"],
  GetErasure: ["erasureId"], DismissDuplicate: ["personIdA", "personIdB"], ApplyCalibration: ["calibrationId"],
};

/** Methods that iterate over all pages, with the name of what they list. */
const PAGED = {
  ListPersons: "person", ListFaces: "face", ListCollections: "collection", ListDuplicates: "pair",
  ListInconsistentFaces: "face", ListAuditEvents: "event",
};

/** Fields that the client's methods take in another form: the keywords of each. */
const CONVERTED = {
  personIdPrefix: (value) => ({ prefix: value }),
  displayNamePrefix: (value) => ({ namePrefix: value }),
  pageToken: () => ({}), // the client fetches the pages
  filter: ({ labels, personIds, suspended }) => ({
    labels: labels && Object.fromEntries(Object.entries(labels).map(([key, { values }]) => [key, values])), personIds, suspended,
  }),
  consistency: ({ maxStaleness }) => ({ maxStalenessSeconds: maxStaleness && seconds(maxStaleness) }),
  kind: (value) => ({ kind: shortName(value, "AUDIT_KIND_") }),
  scoreRule: (value) => ({ scoreRule: shortName(value, "SCORE_RULE_") }),
  startTime: (value, program) => ({ startTime: time(value, program) }),
  endTime: (value, program) => ({ endTime: time(value, program) }),
  expireTime: (value, program) => ({ expireTime: time(value, program) }),
};

/** See `snippet`. */
export default function python(call, { keysRequired }) {
  const [service, name] = call.method.split("/");
  const program = new Program();
  const [client, variable] = CLIENTS[service];
  program.names.add(client);
  const made = [literal(SERVICES[service].address)];
  if (keysRequired) {
    program.modules.add("os");
    program.names.add("Security");
    made.push('security=Security(api_key=os.environ["FACEREC_API_KEY"])');
  }
  const called = invocation(`${variable}.${snake(name).slice(1)}`, args(name, call, program));
  const body = name in PAGED ? [`    for ${PAGED[name]} in ${called}:`, `        print(${PAGED[name]})`]
    : [`    answer = ${called}`, "print(answer)"];
  return [...program.imports(), "", `with ${client}(${made.join(", ")}) as ${variable}:`, ...body].join("\n");
}

/** What a program imports. */
class Program {
  constructor() {
    this.modules = new Set();
    this.names = new Set();
    this.readsFiles = false;
  }

  keywords(values) {
    const given = Object.entries(values).filter(([, value]) => value !== undefined);
    return given.map(([field, value]) => `${snake(field)}=${literal(value)}`);
  }

  imports() {
    const standard = [...this.modules].sort().map((module) => `import ${module}`);
    if (this.readsFiles) standard.push("from pathlib import Path");
    return [...standard, ...(standard.length ? [""] : []), `from facerec.client import ${[...this.names].sort().join(", ")}`];
  }
}

/** The arguments of the client's method. */
function args(name, { request, photos = [] }, program) {
  const positional = POSITIONAL[name] ?? [];
  const { probe, probes, items, probeA, probeB, ...fields } = request;
  const own = Object.fromEntries(Object.entries(fields).filter(([field]) => !positional.includes(field)));
  const file = (photo) => {
    program.readsFiles = true;
    return `Path(${literal(photo.name)}).read_bytes()`;
  };
  const given = [probe, probeA, probeB, ...(probes ?? []), ...(items ?? []).map((item) => item.probe)].filter(Boolean);
  const faces = name === "Compare" ? [["image_a", probeA], ["image_b", probeB]].map(([field, stored]) => {
    const photo = photos.find((each) => each.field === field);
    return photo ? file(photo) : storedProbe(stored, program);
  }) : photos.length ? photos.map((photo, index) => newFace(file(photo), items?.[index]?.externalRef, program)) : given.map((each) => storedProbe(each, program));
  const useLargestFace = given.some((each) => each.useLargestFace) || undefined;
  return [...leading(name, positional, request, program), ...faces, ...program.keywords({ ...converted(name, own, program), useLargestFace })];
}

/** The arguments before the faces. A field that was not set is empty, as it is in the contract. */
function leading(name, positional, request, program) {
  if (name === "UpdateCollection") return [literal(settings(request.settings ?? {}, program))];
  return positional.map((field) => literal(request[field] ?? ""));
}

/** The other fields, by the names of the client's arguments. */
function converted(name, fields, program) {
  if (name === "UpdatePerson") return { ...changes(fields), collectionId: fields.collectionId };
  const { settings: _, ...others } = fields;
  return Object.assign({}, ...Object.entries(others).map(([field, value]) => (
    CONVERTED[field]?.(value, program) ?? { [field]: value }
  )));
}

/** A photo to enroll, with its reference where it has one. */
function newFace(read, externalRef, program) {
  if (externalRef === undefined) return read;
  program.names.add("NewFace");
  return `NewFace(${read}, external_ref=${literal(externalRef)})`;
}

/** A stored person or face as a probe. */
function storedProbe(probe, program) {
  if (!("personId" in probe)) return literal(probe.faceId);
  program.names.add("StoredPerson");
  return literal(new Code(`StoredPerson(${literal(probe.personId)})`));
}

/** A call, on several lines where one would be long. */
function invocation(called, parts) {
  const line = `${called}(${parts.join(", ")})`;
  if (line.length <= MAX_COLUMNS) return line;
  return `${called}(\n${parts.map((part) => `        ${part},\n`).join("")}    )`;
}
