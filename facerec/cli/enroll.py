"""`facerec enroll`."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from facerec.cli import output, photos
from facerec.cli.options import MATCHER_ADDRESS, Collection, Json, LargestFace, Matcher
from facerec.cli.photos import Enroller, Outcome, Photo
from facerec.cli.problems import Problem, explaining

SOME_REFUSED = 1


def enroll(
    person: Annotated[str | None, typer.Argument(metavar="PERSON", help="The person's id.")] = None,
    images: Annotated[
        list[Path] | None, typer.Argument(metavar="IMAGE", help="Photos of the person.")
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="A folder per person in it, named by the person's id, with photos."),
    ] = None,
    display_name: Annotated[str | None, typer.Option("--name", help="The person's name, for people.")] = None,
    largest_face: LargestFace = False,
    in_flight: Annotated[int, typer.Option(min=1, max=256, help="Photos sent at a time.")] = 8,
    collection: Collection = "default",
    address: Matcher = MATCHER_ADDRESS,
    json: Json = False,
) -> None:
    """Add photos to a person, or a folder of people. Safe to run again: a photo is stored once.

    Exit code 1 when a photo was refused; the others are enrolled.
    """
    wanted = _wanted(person, images or [], folder, display_name)
    with explaining("matcher", address):
        outcomes = asyncio.run(_enroll(wanted, address, collection, display_name, largest_face, in_flight))
    enrolled = photos.count(outcomes, photos.ENROLLED)
    already = photos.count(outcomes, photos.ALREADY_ENROLLED)
    refused = photos.count(outcomes, photos.REFUSED)
    if json:
        counts = {"enrolled": enrolled, "already_enrolled": already, "refused": refused}
        output.as_json({**counts, "photos": outcomes})
    else:
        people = len({outcome.person_id for outcome in outcomes if outcome.status != photos.REFUSED})
        output.line(
            f"{output.counted(enrolled, 'photo')} enrolled, {already} already there, {refused} refused; "
            f"{output.counted(people, 'person', 'people')}"
        )
    raise typer.Exit(SOME_REFUSED if refused else 0)


def _wanted(
    person: str | None, images: Sequence[Path], folder: Path | None, display_name: str | None
) -> list[Photo]:
    if folder is None:
        if not person or not images:
            raise Problem("name a person and their photos, or --folder DIR", "USAGE")
        return [Photo(person, image) for image in dict.fromkeys(images)]
    if person or images or display_name:
        raise Problem(
            "--folder takes each person's id from a folder's name: give no PERSON or --name", "USAGE"
        )
    return photos.in_folder(folder)


async def _enroll(
    wanted: Sequence[Photo],
    address: str,
    collection: str,
    display_name: str | None,
    largest_face: bool,
    in_flight: int,
) -> list[Outcome]:
    from facerec.client import AsyncMatcherClient

    console = output.console(stderr=True)
    columns = (TextColumn("enrolling"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("", total=len(wanted))

        def tell(outcome: Outcome) -> None:
            progress.advance(bar)
            if outcome.status == photos.REFUSED:
                console.print(f"refused {outcome.image}: {outcome.message} [{outcome.reason}]")

        async with AsyncMatcherClient(address, timeout_seconds=120) as client:
            enroller = Enroller(client, collection, display_name, largest_face, tell)
            return await enroller.enroll_all(wanted, in_flight)
