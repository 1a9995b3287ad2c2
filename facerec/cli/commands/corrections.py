"""`facerec people change-id`, `move` and `merge`: what corrects wrong enrollments."""

from typing import Annotated

import typer

from facerec.cli.terminal import output
from facerec.cli.terminal.options import MATCHER_ADDRESS, Collection, Json, Matcher, matcher_client
from facerec.contract import DEFAULT_COLLECTION_ID


def change_id(
    person: Annotated[str, typer.Argument(metavar="PERSON", help="The person's id.")],
    new_id: Annotated[str, typer.Argument(metavar="NEW", help="The new id, which nobody has.")],
    collection: Collection = DEFAULT_COLLECTION_ID,
    address: Matcher = MATCHER_ADDRESS,
    json: Json = False,
) -> None:
    """Give a person another id; faces and audit events stay theirs."""
    with matcher_client(address, person_id=person, new_person_id=new_id, collection_id=collection) as client:
        renamed = client.rename_person(person, new_id, collection_id=collection)
    if json:
        output.as_json({"old_person_id": person, "person": renamed})
    else:
        output.line(f"{person} is now {renamed.person_id}")


def move(
    faces: Annotated[list[str], typer.Argument(metavar="FACE...", help="The faces' ids.")],
    target: Annotated[str, typer.Option("--to", metavar="PERSON", help="The person whose they are.")],
    collection: Collection = DEFAULT_COLLECTION_ID,
    address: Matcher = MATCHER_ADDRESS,
    json: Json = False,
) -> None:
    """Move faces to another person, who is added when new."""
    with matcher_client(address, target_person_id=target, collection_id=collection) as client:
        moved = client.move_faces(faces, target, collection_id=collection)
    if json:
        output.as_json(output.fields(moved))
        return
    copies = f", {moved.copies_deleted} of which {target} had already" if moved.copies_deleted else ""
    total = moved.faces_moved + moved.copies_deleted
    held = moved.person.face_count
    output.line(f"moved {output.counted(total, 'face')}{copies}; {target} now has {held}")


def merge(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="The id to give up.")],
    target: Annotated[str, typer.Argument(metavar="TARGET", help="The id to keep.")],
    collection: Collection = DEFAULT_COLLECTION_ID,
    address: Matcher = MATCHER_ADDRESS,
    json: Json = False,
) -> None:
    """Give all faces of SOURCE to TARGET and erase SOURCE.

    It is for one person who was enrolled under two ids.
    """
    with matcher_client(
        address, source_person_id=source, target_person_id=target, collection_id=collection
    ) as client:
        merged = client.merge_persons(source, target, collection_id=collection)
    if json:
        output.as_json(output.fields(merged, source_person_id=source))
    else:
        moved, held = output.counted(merged.faces_moved, "face"), merged.person.face_count
        output.line(f"merged {source} into {target}: {moved} moved, {target} now has {held}")
