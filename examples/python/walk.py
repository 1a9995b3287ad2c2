"""Enroll, search, correct, rename, verify, list and erase people: `python walk.py [ADDRESS [PHOTOS]]`."""

import sys
from pathlib import Path

from facerec.client import CollectionClient, MatcherClient, Security
from facerec.errors import FacerecError, Reason

COLLECTION = "walk"


def main(address: str = "127.0.0.1:50052", photos: str = ".cache/samples") -> None:
    """Walk through a collection of its own, which is deleted at the end."""
    folder, security = Path(photos), Security.from_environment()
    with (
        CollectionClient(address, security=security) as collections,
        MatcherClient(address, security=security) as matcher,
    ):
        collections.create_collection(COLLECTION)
        print("created the collection", COLLECTION)
        try:
            walk(matcher, folder)
        finally:
            collections.delete_collection(COLLECTION, force=True)
        print("deleted the collection", COLLECTION)


def walk(matcher: MatcherClient, folder: Path) -> None:
    """Take each step and print what came out."""

    def photo(name: str) -> bytes:
        return (folder / name).read_bytes()

    enrolled = matcher.enroll(
        "obama", photo("obama.jpg"), photo("obama2.jpg"),
        display_name="Barack Obama", labels={"site": "berlin"}, collection_id=COLLECTION,
    )  # fmt: skip
    print("enrolled obama:", len(enrolled.faces), "faces")

    # A photo of somebody else slipped in: the answer names whom it is like.
    enrolled = matcher.enroll(
        "biden", photo("biden.jpg"), photo("obama3.jpg"), labels={"site": "hamburg"}, collection_id=COLLECTION
    )
    wrong = {each.face.face_id: each.duplicate.person_id for each in enrolled.faces if each.duplicate}
    like = ", ".join(wrong.values())
    print("enrolled biden:", len(wrong), "of", len(enrolled.faces), "faces is like", like)
    moved = matcher.move_faces(list(wrong), "obama", collection_id=COLLECTION)
    print("moved", moved.faces_moved, "face to obama, who has", moved.person.face_count)

    for site in ("berlin", "hamburg"):
        found = matcher.identify(photo("obama2.jpg"), labels={"site": site}, collection_id=COLLECTION)
        names = [candidate.person_id for candidate in found.faces[0].candidates]
        print(f"in {site}:", ", ".join(names) or "nobody")

    renamed = matcher.rename_person("obama", "employee-44", collection_id=COLLECTION)
    print("renamed obama to", renamed.person_id)
    answer = matcher.verify("employee-44", photo("obama2.jpg"), collection_id=COLLECTION)
    print("verified employee-44:", "match" if answer.match else "no match")

    for person in matcher.get_persons(["employee-44", "biden"], collection_id=COLLECTION):
        print(person.person_id, "has", person.face_count, "faces")
    changed = matcher.update_person("biden", labels={"site": None}, collection_id=COLLECTION)
    print("biden has", len(changed.labels), "labels")

    try:
        matcher.verify("obama", photo("obama2.jpg"), collection_id=COLLECTION)
    except FacerecError as error:
        if error.reason is not Reason.PERSON_NOT_FOUND:
            raise
        print("refused obama:", error.reason, error.field)

    # It fetches page after page.
    listed = [person.person_id for person in matcher.list_persons(page_size=1, collection_id=COLLECTION)]
    print("people:", ", ".join(listed))

    receipt = matcher.delete_persons(listed, collection_id=COLLECTION)
    erasure = matcher.get_erasure(receipt.erasure_id, collection_id=COLLECTION)
    print("erased", erasure.persons_deleted, "people and", erasure.faces_deleted, "faces:", erasure.state)


if __name__ == "__main__":
    main(*sys.argv[1:])
