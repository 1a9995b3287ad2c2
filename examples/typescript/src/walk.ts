// Enroll, search, correct, rename, verify, list and erase people: node walk.js [ADDRESS [PHOTOS [SERVICE_CONFIG]]]
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ErasureState } from "../gen/facerec/matcher/v1/erasure_pb.js";
import { CollectionService, MatcherService } from "../gen/facerec/matcher/v1/matcher_pb.js";
import type { EnrollResponse } from "../gen/facerec/matcher/v1/matcher_pb.js";
import { ErrorReason } from "../gen/facerec/v1/error_reason_pb.js";
import { Channel, Refusal } from "./matcher.js";

const [address = "127.0.0.1:50052", photos = "../../.cache/samples", serviceConfig] = process.argv.slice(2);
const { FACEREC_API_KEY: key, FACEREC_TLS_CA_FILE: caFile } = process.env;
const collectionId = "walk";
const { enroll, identify, moveFaces, renamePerson, verify, updatePerson } = MatcherService.method;
const { batchGetPersons, listPersons, batchDeletePersons, getErasure } = MatcherService.method;
const { createCollection, deleteCollection } = CollectionService.method;

function probe(photo: string) {
  return { face: { case: "image" as const, value: readFileSync(join(photos, photo)) } };
}

async function walk(matcher: Channel): Promise<void> {
  const enrollPhotos = (personId: string, names: string[], site: string): Promise<EnrollResponse> =>
    matcher.call(enroll, {
      collectionId,
      personId,
      items: names.map((name) => ({ probe: probe(name) })),
      labels: { site },
    });
  let enrolled = await enrollPhotos("obama", ["obama.jpg", "obama2.jpg"], "berlin");
  console.log(`enrolled obama: ${enrolled.faces.length} faces`);

  // A photo of somebody else slipped in: the answer names whom it is like.
  enrolled = await enrollPhotos("biden", ["biden.jpg", "obama3.jpg"], "hamburg");
  const wrong = enrolled.faces.filter((each) => each.duplicate);
  const like = wrong[0]?.duplicate?.personId;
  console.log(`enrolled biden: ${wrong.length} of ${enrolled.faces.length} faces is like ${like}`);
  const faceIds = wrong.map((each) => each.face!.faceId);
  const moved = await matcher.call(moveFaces, { collectionId, faceIds, targetPersonId: "obama" });
  console.log(`moved ${moved.facesMoved} face to obama, who has ${moved.person!.faceCount}`);

  for (const site of ["berlin", "hamburg"]) {
    const filter = { labels: { site: { values: [site] } } };
    const found = await matcher.call(identify, { collectionId, probes: [probe("obama2.jpg")], filter });
    const names = found.faces[0]!.candidates.map((candidate) => candidate.personId);
    console.log(`in ${site}: ${names.join(", ") || "nobody"}`);
  }

  const renamed = await matcher.call(renamePerson, { collectionId, personId: "obama", newPersonId: "employee-44" });
  console.log(`renamed obama to ${renamed.person!.personId}`);
  const claim = { collectionId, personId: "employee-44", probe: probe("obama2.jpg") };
  const answer = await matcher.call(verify, claim);
  console.log(`verified employee-44: ${answer.match ? "match" : "no match"}`);

  const { persons } = await matcher.call(batchGetPersons, { collectionId, personIds: ["employee-44", "biden"] });
  for (const person of persons) console.log(`${person.personId} has ${person.faceCount} faces`);
  const updateMask = { paths: ["labels.site"] }; // named and not set: removed
  const changed = await matcher.call(updatePerson, { collectionId, personId: "biden", updateMask });
  console.log(`biden has ${Object.keys(changed.person!.labels).length} labels`);

  try {
    await matcher.call(verify, { ...claim, personId: "obama" });
  } catch (error) {
    if (!(error instanceof Refusal) || error.reason !== ErrorReason[ErrorReason.PERSON_NOT_FOUND]) throw error;
    console.log(`refused obama: ${error.reason} ${error.field}`);
  }

  const listed: string[] = [];
  let pageToken = "";
  do {
    const page = await matcher.call(listPersons, { collectionId, pageSize: 1, pageToken });
    listed.push(...page.persons.map((person) => person.personId));
    pageToken = page.nextPageToken;
  } while (pageToken);
  console.log(`people: ${listed.join(", ")}`);

  const { erasureId } = await matcher.call(batchDeletePersons, { collectionId, personIds: listed });
  const erasure = await matcher.call(getErasure, { collectionId, erasureId });
  const state = ErasureState[erasure.state].toLowerCase();
  console.log(`erased ${erasure.personsDeleted} people and ${erasure.facesDeleted} faces: ${state}`);
}

const channel = new Channel(address, {
  key,
  ca: caFile ? readFileSync(caFile) : undefined,
  serviceConfig: serviceConfig ? readFileSync(serviceConfig, "utf8") : undefined,
});
await channel.call(createCollection, { collectionId });
console.log(`created the collection ${collectionId}`);
try {
  await walk(channel);
} finally {
  await channel.call(deleteCollection, { collectionId, force: true });
}
console.log(`deleted the collection ${collectionId}`);
channel.close();
