"""`facerec duplicates`."""

import itertools
from typing import Annotated

import typer

from facerec.cli.commands.inconsistent_faces import show_inconsistent_faces
from facerec.cli.terminal import output
from facerec.cli.terminal.errors import Problem
from facerec.cli.terminal.options import (
    MATCHER_ADDRESS,
    Collection,
    Json,
    Matcher,
    MaxStaleness,
    collection_client,
)
from facerec.contract import DEFAULT_COLLECTION_ID

TIMEOUT_SECONDS = 60
MAX_PAGE = 1000  # pairs of one call


def duplicates(
    max_distance: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=0.6,
            help="Largest distance between faces of two people.  [default: the collection's threshold]",
        ),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Show at most this many pairs, or faces.")] = 1000,
    everything: Annotated[bool, typer.Option("--all", help="Show dismissed pairs too.")] = False,
    dismiss: Annotated[
        tuple[str, str] | None,
        typer.Option(metavar="PERSON PERSON", help="Record that these are two people; hides the pair."),
    ] = None,
    restore: Annotated[
        tuple[str, str] | None, typer.Option(metavar="PERSON PERSON", help="Undo a dismissal.")
    ] = None,
    faces: Annotated[
        bool, typer.Option("--faces", help="List faces that are nearer to another person's instead.")
    ] = False,
    person: Annotated[
        str | None, typer.Option(metavar="PERSON", help="With --faces: only this person's.")
    ] = None,
    max_staleness: MaxStaleness = None,
    collection: Collection = DEFAULT_COLLECTION_ID,
    address: Matcher = MATCHER_ADDRESS,
    json: Json = False,
) -> None:
    """List likely duplicates: one person under two ids.

    `facerec people merge` makes one of two; --dismiss records that they are two. --faces lists faces that are
    probably under a wrong id, with the command that corrects each: look at the photos first.
    """
    _check_usage(dismiss, restore, everything=everything, faces=faces, person=person)
    pair = dismiss or restore
    first, second = pair or (None, None)
    with collection_client(
        address, person_id_a=first, person_id_b=second, person_id=person, collection_id=collection
    ) as client:
        if faces:
            show_inconsistent_faces(
                client.with_options(timeout_seconds=TIMEOUT_SECONDS),
                person=person,
                max_distance=max_distance,
                limit=limit,
                max_staleness=max_staleness,
                collection=collection,
                json=json,
            )
            return
        if pair:
            changed = client.dismiss_duplicate(*pair, restore=bool(restore), collection_id=collection)
            done = "restored" if restore else "dismissed"
            if json:
                output.as_json({"changed": changed})
            else:
                output.line(
                    f"{done} {pair[0]} and {pair[1]}" if changed else f"nothing to change: already {done}"
                )
            return
        listing = client.with_options(timeout_seconds=TIMEOUT_SECONDS).list_duplicates(
            max_distance=max_distance,
            include_dismissed=everything,
            page_size=min(limit, MAX_PAGE),
            max_staleness_seconds=max_staleness,
            collection_id=collection,
        )
        found = list(itertools.islice(listing, limit))
    if json:
        output.as_json({"pairs": found})
        return
    if found:
        rows = [
            (
                p.person_id_a,
                p.person_id_b,
                "" if p.distance is None else p.distance,
                "dismissed" if p.dismissed else "",
            )
            for p in found
        ]
        output.table(("person", "and person", "distance", "state"), rows)
    output.line(f"{output.counted(len(found), 'pair')}{' or more' if len(found) == limit else ''}")
    if any(not p.dismissed for p in found):
        output.error_line(
            "look at the photos: `facerec people merge SOURCE TARGET` makes one of two people, `facerec "
            "duplicates --dismiss PERSON PERSON` records that they are two, and --faces lists photos that "
            "are probably under a wrong id"
        )


def _check_usage(
    dismiss: tuple[str, str] | None,
    restore: tuple[str, str] | None,
    *,
    everything: bool,
    faces: bool,
    person: str | None,
) -> None:
    """Raises Problem for options that exclude each other."""
    if dismiss and restore:
        raise Problem("give --dismiss or --restore, not both", "USAGE")
    if faces and (dismiss or restore or everything):
        raise Problem("give --faces without --dismiss, --restore and --all", "USAGE")
    if person is not None and not faces:
        raise Problem("--person is for --faces", "USAGE")
