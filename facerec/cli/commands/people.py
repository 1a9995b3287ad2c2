"""`facerec people`."""

import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facerec.cli.commands.corrections import change_id, merge, move
from facerec.cli.commands.faces import delete_face, show_face, update_face
from facerec.cli.commands.suspending import resume, suspend
from facerec.cli.terminal import output, times
from facerec.cli.terminal.errors import Problem
from facerec.cli.terminal.labels import LabelFilter, label_filter, label_text, label_values
from facerec.cli.terminal.options import (
    MATCHER_ADDRESS,
    Collection,
    Json,
    Matcher,
    Yes,
    confirm,
    matcher_client,
)
from facerec.cli.terminal.qualities import quality_text
from facerec.cli.transfer.writing import check_absent, write_text
from facerec.contract import DEFAULT_COLLECTION_ID

if TYPE_CHECKING:
    from facerec.client import StoredFace

people = typer.Typer(help="List the people enrolled, and show or change them.", rich_markup_mode=None)

for command in (show_face, update_face, delete_face, suspend, resume, change_id, move, merge):
    people.command()(command)

MAX_PAGE = 1000  # persons of one call
Person = Annotated[str, typer.Argument(metavar="PERSON", help="The person's id.")]


@people.callback(invoke_without_command=True)
def list_people(
    context: typer.Context,
    query: Annotated[
        str, typer.Option(help="Only who has a word in id or name that begins so, for each of these words.")
    ] = "",
    prefix: Annotated[str, typer.Option(help="Only ids that begin with this, case-sensitive.")] = "",
    name_prefix: Annotated[
        str, typer.Option("--name", help="Only names that begin with this, case-sensitive.")
    ] = "",
    label: LabelFilter = None,
    suspended: Annotated[
        bool | None,
        typer.Option("--suspended/--active", help="Only who is suspended, or is not.  [default: all]"),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="List at most this many people.  [default: all]")
    ] = None,
    collection: Collection = DEFAULT_COLLECTION_ID,
    address: Matcher = MATCHER_ADDRESS,
    json: Json = False,
) -> None:
    """List the people enrolled, and show or change them."""
    if context.invoked_subcommand:
        return
    with matcher_client(address, collection_id=collection) as client:
        fetched = None if limit is None else limit + 1  # one more, to see whether there are more
        page_size = min(fetched or MAX_PAGE, MAX_PAGE)
        listing = client.list_persons(
            query=query,
            prefix=prefix,
            name_prefix=name_prefix,
            labels=label_filter(label),
            suspended=suspended,
            page_size=page_size,
            collection_id=collection,
        )
        found = list(itertools.islice(listing, fetched))
    persons = found[:limit]
    if json:
        output.as_json({"persons": persons})
        return
    labeled = any(p.labels for p in persons)  # a column that nobody needs is not shown
    some_suspended = any(p.suspended for p in persons)
    rows: list[tuple[object, ...]] = [
        (
            *(p.person_id, p.display_name, p.face_count, p.create_time, p.update_time),
            *([label_text(p.labels)] if labeled else []),
            *(["suspended" if p.suspended else ""] if some_suspended else []),
        )
        for p in persons
    ]
    if rows:
        columns = ["person", "name", "faces", "created", "changed"]
        columns += (["labels"] if labeled else []) + (["state"] if some_suspended else [])
        output.table(columns, rows)
    more = ", and more" if len(found) > len(persons) else ""
    output.line(f"{output.counted(len(persons), 'person', 'people')}{more}")


@people.command()
def show(
    person: Person,
    collection: Collection = DEFAULT_COLLECTION_ID,
    address: Matcher = MATCHER_ADDRESS,
    json: Json = False,
) -> None:
    """Show a person and their faces."""
    with matcher_client(address, person_id=person, collection_id=collection) as client:
        found = client.get_person(person, collection_id=collection)
        faces = list(client.list_faces(person, page_size=1000, collection_id=collection))
    if json:
        output.as_json({"person": found, "faces": faces})
        return
    name = f" ({found.display_name})" if found.display_name else ""
    state = ", suspended" if found.suspended else ""
    output.line(f"{found.person_id}{name}: {output.counted(found.face_count, 'face')}{state}")
    if found.labels:
        output.line(f"labels: {label_text(found.labels)}")
    if found.metadata:
        output.line(f"metadata: {output.document(found.metadata).strip()}")
    if faces:
        output.table(("face", "reference", "space", "enrolled", "expires", "quality"), map(_face_row, faces))


def _face_row(face: "StoredFace") -> tuple[object, ...]:
    expires = face.expire_time or "never"
    quality = quality_text(face.quality)
    return face.face_id, face.external_ref, face.space, face.create_time, expires, quality


@people.command()
def rename(
    person: Person,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The new display name; '' for none.")],
    collection: Collection = DEFAULT_COLLECTION_ID,
    address: Matcher = MATCHER_ADDRESS,
    json: Json = False,
) -> None:
    """Change a person's display name; the id stays (`change-id`)."""
    with matcher_client(address, person_id=person, collection_id=collection) as client:
        renamed = client.update_person(person, display_name=name, collection_id=collection)
    if json:
        output.as_json({"person": renamed})
    else:
        named = f"is now named {renamed.display_name}" if renamed.display_name else "has no name now"
        output.line(f"{renamed.person_id} {named}")


@people.command()
def set_labels(
    person: Person,
    labels: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Labels to set; others stay.")
    ] = None,
    remove: Annotated[
        list[str] | None, typer.Option(metavar="KEY", help="A label to remove. Repeatable.")
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Remove all labels that are not given.")] = False,
    collection: Collection = DEFAULT_COLLECTION_ID,
    address: Matcher = MATCHER_ADDRESS,
    json: Json = False,
) -> None:
    """Set or remove labels of a person."""
    given: dict[str, str | None] = {**dict.fromkeys(remove or ()), **label_values(labels or ())}
    if not given and not replace:
        raise Problem("nothing to change: give KEY=VALUE, --remove KEY or --replace", "USAGE")
    with matcher_client(address, person_id=person, collection_id=collection) as client:
        changed = client.update_person(person, labels=given, replace_labels=replace, collection_id=collection)
    if json:
        output.as_json({"person": changed})
    else:
        output.line(f"{changed.person_id}: {label_text(changed.labels) or 'no labels'}")


@people.command()
def export(
    person: Person,
    target: Annotated[
        Path | None,
        typer.Argument(metavar="[OUT]", help="The JSON file to write.  [default: stdout]"),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace OUT if it exists.")] = False,
    collection: Collection = DEFAULT_COLLECTION_ID,
    address: Matcher = MATCHER_ADDRESS,
    json: Json = False,
) -> None:
    """Write all data about one person as JSON.

    It answers a person's request for their own data. It has the vectors if the key has the role admin. The
    export is an audit event.
    """
    if target is not None:
        check_absent(target, force=force)
    with matcher_client(address, person_id=person, collection_id=collection) as client:
        found = client.export_person(person, collection_id=collection)
    content = output.fields(found)
    if target is None:
        output.as_json(content)
        return
    write_text(target, output.document(content))
    if json:
        output.as_json({"file": target, "person_id": person, "faces": len(found.faces)})
    else:
        faces = output.counted(len(found.faces), "face")
        output.line(f"{person} and {faces} written to {target}")


@people.command()
def delete(
    person: Person,
    yes: Yes = False,
    collection: Collection = DEFAULT_COLLECTION_ID,
    address: Matcher = MATCHER_ADDRESS,
    json: Json = False,
) -> None:
    """Erase a person and every face of theirs."""
    confirm(f"Erase {person} and all their faces?", yes)
    with matcher_client(address, person_id=person, collection_id=collection) as client:
        receipt = client.delete_person(person, collection_id=collection)
    if json:
        output.as_json(output.fields(receipt, person_id=person))
    elif receipt.persons_deleted:
        faces = output.counted(receipt.faces_deleted, "face")
        output.line(
            f"erased {person} and {faces}; `facerec people erasure {receipt.erasure_id}` shows its progress"
        )
    else:
        output.line(f"nothing to erase: there is no person {person}")


@people.command()
def erasure(
    erasure_id: Annotated[str, typer.Argument(metavar="ERASURE", help="The id of a receipt.")],
    collection: Collection = DEFAULT_COLLECTION_ID,
    address: Matcher = MATCHER_ADDRESS,
    json: Json = False,
) -> None:
    """Show the progress of an erasure.

    The erased bytes are pending, vacuumed or scrubbed.
    """
    with matcher_client(address, erasure_id=erasure_id, collection_id=collection) as client:
        receipt = client.get_erasure(erasure_id, collection_id=collection)
    if json:
        output.as_json(output.fields(receipt))
    else:
        people_gone = output.counted(receipt.persons_deleted, "person", "people")
        faces = output.counted(receipt.faces_deleted, "face")
        output.line(
            f"{receipt.state}: {people_gone}, {faces}, erased {times.format_time(receipt.delete_time)}"
        )
