"""`facerec enroll`."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from facerec.cli.terminal import output, times
from facerec.cli.terminal.errors import Problem, service_problems
from facerec.cli.terminal.labels import label_values
from facerec.cli.terminal.options import MATCHER_ADDRESS, Collection, Json, LargestFace, Matcher
from facerec.cli.terminal.suggesting import command
from facerec.cli.transfer import photos
from facerec.cli.transfer.photos import Enroller, Folder, Outcome, Photo
from facerec.contract import DEFAULT_COLLECTION_ID

SOME_REFUSED = 1
MAX_SKIPPED_NAMED = 3


def enroll(
    person: Annotated[str | None, typer.Argument(metavar="PERSON", help="The person's id.")] = None,
    images: Annotated[
        list[Path] | None, typer.Argument(metavar="IMAGE", help="Photos of the person; - is standard input.")
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="A folder with a folder of photos per person, named by the id."),
    ] = None,
    display_name: Annotated[str | None, typer.Option("--name", help="The person's display name.")] = None,
    largest_face: LargestFace = False,
    expires: Annotated[
        str | None,
        typer.Option(metavar="WHEN", help="When the faces expire: 2027-01-31, or 30d from now."),
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="A label to set on the person. Repeatable."),
    ] = None,
    in_flight: Annotated[int, typer.Option(min=1, max=256, help="Photos sent concurrently.")] = 8,
    collection: Collection = DEFAULT_COLLECTION_ID,
    address: Matcher = MATCHER_ADDRESS,
    json: Json = False,
) -> None:
    """Enroll photos of a person, or a folder of people. Safe to run again: a photo is stored once.

    Exit code 1 when a photo was refused; the others are enrolled.
    """
    given = _photos(person, images or [], folder, display_name)
    labels = label_values(label or ())
    if given.skipped and not json:
        output.error_line(_skipped_line(given.skipped))
    expire_time = None if expires is None else times.future_time(expires, "--expires")
    details = photos.Details(collection, display_name, largest_face, expire_time, labels)
    with service_problems("matcher", address, {"person_id": person, "collection_id": collection}):
        outcomes = asyncio.run(_enroll(given.photos, address, details, in_flight))
    enrolled = photos.count(outcomes, photos.ENROLLED)
    already = photos.count(outcomes, photos.ALREADY_ENROLLED)
    refused = photos.count(outcomes, photos.REFUSED)
    if json:
        counts = {"enrolled": enrolled, "already_enrolled": already, "refused": refused}
        output.as_json({**counts, "photos": outcomes, "skipped": given.skipped})
    else:
        people = len({outcome.person_id for outcome in outcomes if outcome.status != photos.REFUSED})
        output.line(
            f"{output.counted(enrolled, 'photo')} enrolled, {already} already there, {refused} refused; "
            f"{output.counted(people, 'person', 'people')}"
        )
        if already and expire_time is not None:
            kept = (
                "photo was already enrolled and keeps its expiry"
                if already == 1
                else "photos were already enrolled and keep their expiry"
            )
            output.error_line(
                f"{already} {kept}: `facerec people update-face FACE --expires WHEN` changes one"
            )
    raise typer.Exit(SOME_REFUSED if refused else 0)


def _photos(
    person: str | None, images: Sequence[Path], folder: Path | None, display_name: str | None
) -> Folder:
    if folder is None:
        if not person or not images:
            raise Problem("name a person and their photos, or --folder DIR", "USAGE")
        return Folder([Photo(person, image) for image in dict.fromkeys(images)], skipped=())
    if person or images or display_name:
        raise Problem(
            "--folder takes each person's id from a folder's name: give no PERSON or --name", "USAGE"
        )
    return photos.find_in(folder)


def _skipped_line(skipped: Sequence[Path]) -> str:
    """The line that names files that were not sent."""
    more = len(skipped) - MAX_SKIPPED_NAMED
    named = ", ".join(map(str, skipped[:MAX_SKIPPED_NAMED])) + (f" and {more} more" if more > 0 else "")
    are = "which is not a photo" if len(skipped) == 1 else "which are not photos"
    return f"skipped {output.counted(len(skipped), 'file')}, {are} by name or content: {named}"


async def _enroll(
    to_enroll: Sequence[Photo], address: str, details: photos.Details, in_flight: int
) -> list[Outcome]:
    from facerec.client import AsyncMatcherClient, Security

    console = output.console(stderr=True)
    columns = (TextColumn("enrolling"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("", total=len(to_enroll))

        def report(outcome: Outcome) -> None:
            progress.advance(bar)
            if outcome.status == photos.REFUSED:
                console.print(f"refused {outcome.image}: {outcome.message} [{outcome.reason}]")
            elif outcome.inconsistent_with:
                other = f"it is rather {outcome.inconsistent_with}'s face"
                words = ("people", "move", outcome.face_id, "--to", outcome.inconsistent_with)
                move = f"`{command(*words, collection=details.collection_id)}` corrects it"
                console.print(
                    f"inconsistent {outcome.image}: enrolled for {outcome.person_id}, but {other}: {move}"
                )
            elif outcome.duplicate_of:
                distance = outcome.duplicate_distance
                nearness = "within the threshold" if distance is None else f"at distance {distance:.3f}"
                other = f"{outcome.duplicate_of} has a face {nearness}"
                merge = command(
                    *("people", "merge", outcome.person_id, outcome.duplicate_of),
                    collection=details.collection_id,
                )
                console.print(
                    f"duplicate {outcome.image}: enrolled for {outcome.person_id}, but {other}: if both are "
                    f"one person, `{merge}` corrects it"
                )

        async with AsyncMatcherClient(
            address, timeout_seconds=120, security=Security.from_environment()
        ) as client:
            enroller = Enroller(client, details, report)
            return await enroller.enroll_all(to_enroll, in_flight)
