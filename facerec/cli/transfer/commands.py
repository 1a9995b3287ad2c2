"""`facerec import` and `facerec export`."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from facerec.cli.commands.enroll import enroll
from facerec.cli.terminal import output
from facerec.cli.terminal.errors import Problem, service_problems
from facerec.cli.terminal.options import (
    MATCHER_ADDRESS,
    Collection,
    Json,
    Matcher,
    MaxStaleness,
    matcher_client,
)
from facerec.cli.transfer.jobs import Job, Reader, ReadProgress
from facerec.cli.transfer.refusals import Refusals
from facerec.cli.transfer.sending import Sender
from facerec.cli.transfer.writing import WRITERS, check_absent
from facerec.contract import DEFAULT_COLLECTION_ID
from facerec.errors import FacerecError, Reason

if TYPE_CHECKING:
    from facerec.client import ImportReport
    from facerec.sources.rows import Row

SOME_REFUSED = 1
_COLUMNS = (
    TextColumn("{task.fields[faces]:,} faces"),
    BarColumn(),
    TaskProgressColumn(),
    TimeElapsedColumn(),
    TimeRemainingColumn(),
)


def import_(
    source: Annotated[
        Path | None,
        typer.Argument(metavar="SOURCE", help="A pickle, npz, CSV, JSON or JSON Lines file, or a folder."),
    ] = None,
    format: Annotated[
        str, typer.Option(help="pickle, npz, csv, json or jsonl.  [default: by the file's suffix]")
    ] = "",
    space: Annotated[
        str,
        typer.Option(
            help="The space of the encodings.  [default: face_recognition's, or that of face-api.js or "
            "deepface where they wrote the source]"
        ),
    ] = "",
    database_url: Annotated[
        str,
        typer.Option(
            envvar="FACEREC_SOURCE_URL",
            metavar="URL",
            help="Another Postgres, for --query; without --query deepface's tables in it.",
        ),
    ] = "",
    query: Annotated[
        str, typer.Option(metavar="SQL", help="Returns person_id and encoding (float8[]), in a fixed order.")
    ] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything and write nothing.")] = False,
    ignore_duplicate_policy: Annotated[
        bool,
        typer.Option(
            "--ignore-duplicate-policy",
            help="Do not look for duplicates, even if the collection refuses them.",
        ),
    ] = False,
    collection: Collection = DEFAULT_COLLECTION_ID,
    address: Matcher = MATCHER_ADDRESS,
    json: Json = False,
) -> None:
    """Import encodings from a file, a folder or a database.

    Code in a pickle is never executed. Run it again after an interruption to resume. A source that is all
    imported is checked again; each face is stored once. Exit code 1 when rows were refused.
    """
    if source and source.is_dir():
        if dry_run:
            raise Problem("there is no dry run of a folder: its photos are enrolled one by one", "USAGE")
        if ignore_duplicate_policy:
            raise Problem("the photos of a folder are always enrolled by the duplicate policy", "USAGE")
        enroll(folder=source, collection=collection, address=address, json=json)
        return
    refusals = Refusals(json, source or ("the query" if query else "the database"))
    reader = (
        _file_reader(source, format, refusals)
        if source and not query
        else _database_reader(source, database_url, query, space, refusals)
    )
    job = Job(reader, space, dry_run, collection, ignore_duplicate_policy)
    with service_problems(
        "matcher", address, {"header.collection_id": collection, "collection_id": collection}
    ):
        report, sender = asyncio.run(_import(job, address, refusals))
    refused = report.rows_refused + refusals.refused_locally
    if json:
        document = output.fields(
            report, import_id=sender.import_id, left_out=refusals.refused_locally, first_row=sender.first_row
        )
        output.as_json({**document, "refused": refusals.rows})
    else:
        would = "would be " if dry_run else ""
        people = output.counted(report.persons_added, "new person", "new people")
        output.line(
            f"{output.counted(report.faces_added, 'face')} {would}added, {report.faces_already_there} "
            f"already there, {refused} refused; {people}"
        )
    raise typer.Exit(SOME_REFUSED if refused else 0)


def _database_reader(source: Path | None, url: str, query: str, space: str, refusals: Refusals) -> Reader:
    from facerec.sources import postgres, tables

    if source or not url:
        raise Problem(
            "give a file or folder, or --database-url: a Postgres for --query, or with deepface's tables",
            "USAGE",
        )

    def read() -> "AsyncIterator[Row]":
        if query:
            return postgres.rows(url, query, refusals.refuse_locally)
        return tables.rows(url, space, refusals.refuse_locally)

    return Reader(postgres.digest(query, url.rpartition("@")[2]), read(), read)


def _file_reader(source: Path, format: str, refusals: Refusals) -> Reader:
    from facerec.sources import files
    from facerec.sources.errors import SourceRefused

    try:
        known = format or files.format_of(source)
        if known not in files.FORMATS.values():
            raise SourceRefused("the format is pickle, npz, csv, json or jsonl")
        progress = ReadProgress()
        # Before the digest, as a file that is not regular may have no end.
        rows = files.rows(source, known, refusals.refuse_locally, progress.set)

        def reopen() -> "AsyncIterator[Row]":
            return _each(files.rows(source, known, refusals.refuse_locally, progress.set))

        return Reader(files.digest(source), _each(rows), reopen, progress)
    except SourceRefused as error:
        raise Problem(error.of(source), "FILE") from None
    except OSError as error:
        raise Problem(f"{source}: {(error.strerror or 'cannot be read').lower()}", "FILE") from None


async def _each(rows: "Iterator[Row]") -> "AsyncIterator[Row]":
    for row in rows:
        yield row


async def _import(job: Job, address: str, refusals: Refusals) -> "tuple[ImportReport, Sender]":
    from facerec.client import AsyncMatcherClient, Security
    from facerec.sources.errors import SourceRefused

    console = output.console(stderr=True)
    with Progress(*_COLUMNS, console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("", total=None, faces=0)
        async with AsyncMatcherClient(
            address, timeout_seconds=60, security=Security.from_environment()
        ) as client:
            sender = Sender(client, job, refusals)

            def advance() -> None:
                share = job.reader.progress.share
                total = None if share is None else 1.0
                progress.update(bar, completed=share or 0.0, total=total, faces=sender.next_row)

            try:
                await sender.run(advance)
            except asyncio.CancelledError:
                await sender.interrupted()
                raise
            except SourceRefused as error:
                raise Problem(error.of(refusals.source), "FILE") from None
            except FacerecError as error:
                if error.reason is not Reason.MODEL_MISMATCH:
                    raise
                taken = "" if job.space else "that was assumed without --space, which says otherwise; "
                hint = "`facerec collections create NAME --space SPACE` makes a collection of theirs"
                raise Problem(f"{error.message}; {taken}{hint}", error.reason) from error
            except OSError as error:
                reason = (error.strerror or "cannot be read").lower()
                raise Problem(f"{refusals.source}: {reason}", "FILE") from None
            return await sender.report(), sender


def export(
    target: Annotated[Path, typer.Argument(metavar="OUT", help="The file to write: OUT.npz or OUT.jsonl.")],
    force: Annotated[bool, typer.Option("--force", help="Replace OUT if it exists.")] = False,
    max_staleness: MaxStaleness = None,
    collection: Collection = DEFAULT_COLLECTION_ID,
    address: Matcher = MATCHER_ADDRESS,
    json: Json = False,
) -> None:
    """Write all encodings of a collection to a file.

    The file is one consistent snapshot.
    """
    writer = WRITERS.get(target.suffix.lower())
    if writer is None:
        raise Problem(f"{target}: the name must end in .npz or .jsonl, which is the format", "USAGE")
    check_absent(target, force=force)
    with matcher_client(address, collection_id=collection) as client:
        try:
            exported = client.export_faces(max_staleness_seconds=max_staleness, collection_id=collection)
            faces = writer(target, exported)
        except OSError as error:
            raise Problem(f"{target}: {(error.strerror or 'cannot be written').lower()}", "FILE") from error
    if json:
        output.as_json({"file": target, "faces": faces})
    else:
        output.line(f"{output.counted(faces, 'face')} written to {target}; protect it like passwords")
