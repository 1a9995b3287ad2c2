// Enroll, search, correct, rename, verify, list and erase people: node walk.js [ADDRESS [PHOTOS]]
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { FacerecError, photo } from "@facerec/client";
import { ErasureState } from "@facerec/client/matcher";
import { createFacerec } from "@facerec/client/node";

const [address = "127.0.0.1:50052", photos = "../../.cache/samples"] = process.argv.slice(2);
const { FACEREC_API_KEY: apiKey, FACEREC_TLS_CA_FILE: caFile } = process.env;
const collectionId = "walk";
const facerec = createFacerec({
  matcherUrl: `${caFile ? "https" : "http"}://${address}`,
  ca: caFile && readFileSync(caFile),
  apiKey,
  timeoutMs: 10_000,
});
const { matcher, collections } = facerec;

function probe(name: string) {
  return photo(readFileSync(join(photos, name)));
}

async function walk(): Promise<void> {
  const enrollPhotos = (personId: string, names: string[], site: string) =>
    matcher.enroll({
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
  const moved = await matcher.moveFaces({ collectionId, faceIds, targetPersonId: "obama" });
  console.log(`moved ${moved.facesMoved} face to obama, who has ${moved.person!.faceCount}`);

  for (const site of ["berlin", "hamburg"]) {
    const filter = { labels: { site: { values: [site] } } };
    const found = await matcher.identify({ collectionId, probes: [probe("obama2.jpg")], filter });
    const names = found.faces[0]!.candidates.map((candidate) => candidate.personId);
    console.log(`in ${site}: ${names.join(", ") || "nobody"}`);
  }

  const renamed = await matcher.renamePerson({ collectionId, personId: "obama", newPersonId: "employee-44" });
  console.log(`renamed obama to ${renamed.person!.personId}`);
  const claim = { collectionId, personId: "employee-44", probe: probe("obama2.jpg") };
  const answer = await matcher.verify(claim);
  console.log(`verified employee-44: ${answer.match ? "match" : "no match"}`);

  const { persons } = await matcher.batchGetPersons({ collectionId, personIds: ["employee-44", "biden"] });
  for (const person of persons) console.log(`${person.personId} has ${person.faceCount} faces`);
  const updateMask = { paths: ["labels.site"] }; // named and not set: removed
  const changed = await matcher.updatePerson({ collectionId, personId: "biden", updateMask });
  console.log(`biden has ${Object.keys(changed.person!.labels).length} labels`);

  try {
    await matcher.verify({ ...claim, personId: "obama" });
  } catch (error) {
    if (!(error instanceof FacerecError) || error.reason !== "PERSON_NOT_FOUND") throw error;
    console.log(`refused obama: ${error.reason} ${error.field}`);
  }

  const listed: string[] = [];
  let pageToken = "";
  do {
    const page = await matcher.listPersons({ collectionId, pageSize: 1, pageToken });
    listed.push(...page.persons.map((person) => person.personId));
    pageToken = page.nextPageToken;
  } while (pageToken);
  console.log(`people: ${listed.join(", ")}`);

  const { erasureId } = await matcher.batchDeletePersons({ collectionId, personIds: listed });
  const erasure = await matcher.getErasure({ collectionId, erasureId });
  const state = ErasureState[erasure.state].toLowerCase();
  console.log(`erased ${erasure.personsDeleted} people and ${erasure.facesDeleted} faces: ${state}`);
}

await collections.createCollection({ collectionId });
console.log(`created the collection ${collectionId}`);
try {
  await walk();
} finally {
  await collections.deleteCollection({ collectionId, force: true });
}
console.log(`deleted the collection ${collectionId}`);
facerec.close();
