"""`facerec duplicates --faces`: faces nearer to another person's, and the command that corrects each."""

import itertools
from typing import TYPE_CHECKING

from facerec.cli.terminal import output
from facerec.cli.terminal.suggesting import command

if TYPE_CHECKING:
    from facerec.client import CollectionClient, InconsistentFace

MAX_PAGE = 1000  # faces of one call


def show_inconsistent_faces(
    client: "CollectionClient",
    *,
    person: str | None,
    max_distance: float | None,
    limit: int,
    max_staleness: float | None,
    collection: str,
    json: bool,
) -> None:
    """Print at most `limit` inconsistent faces, each with a command that corrects it."""
    listing = client.list_inconsistent_faces(
        person_id=person or "",
        max_distance=max_distance,
        page_size=min(limit, MAX_PAGE),
        max_staleness_seconds=max_staleness,
        collection_id=collection,
    )
    found = list(itertools.islice(listing, limit))
    if json:
        output.as_json({"faces": found})
        return
    if found:
        rows = [
            (
                each.face_id,
                each.person_id,
                each.own_distance,
                each.other_person_id,
                each.other_distance,
                correction(each, collection),
            )
            for each in found
        ]
        output.table(("face", "of", "distance", "nearer to", "other distance", "to correct it"), rows)
    output.line(f"{output.counted(len(found), 'face')}{' or more' if len(found) == limit else ''}")


def correction(found: "InconsistentFace", collection: str) -> str:
    """The command that does what is suggested; for a review the one that dismisses the pair."""
    commands = {
        "move_face": ("people", "move", found.face_id, "--to", found.other_person_id),
        "move_other_face": ("people", "move", found.other_face_id, "--to", found.person_id),
        "merge_persons": ("people", "merge", found.person_id, found.other_person_id),
    }
    dismissal = ("duplicates", "--dismiss", found.person_id, found.other_person_id)
    line = command(*commands.get(found.suggestion, dismissal), collection=collection)
    return line if found.suggestion in commands else f"look at both; if they are two people: {line}"
