"""`facerec people show-face`, `update-face` and `delete-face`."""

from typing import TYPE_CHECKING, Annotated

import typer

from facerec.cli.terminal import output
from facerec.cli.terminal.errors import Problem
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
from facerec.cli.terminal.times import format_time, future_time
from facerec.contract import DEFAULT_COLLECTION_ID

if TYPE_CHECKING:
    from facerec.client import StoredFace

Face = Annotated[str, typer.Argument(metavar="FACE", help="The face's id, as `people show` prints it.")]


def show_face(
    face: Face,
    collection: Collection = DEFAULT_COLLECTION_ID,
    address: Matcher = MATCHER_ADDRESS,
    json: Json = False,
) -> None:
    """Show a face's person, reference, expiry and quality."""
    with matcher_client(address, face_id=face, collection_id=collection) as client:
        found = client.get_face(face, collection_id=collection)
    _show(found, json)


def update_face(
    face: Face,
    reference: Annotated[
        str | None, typer.Option("--reference", help="Your own reference to the face; '' for none.")
    ] = None,
    expires: Annotated[
        str | None,
        typer.Option(
            metavar="WHEN", help="When it expires: 2027-01-31, 30d, ...; `never` removes the expiry."
        ),
    ] = None,
    collection: Collection = DEFAULT_COLLECTION_ID,
    address: Matcher = MATCHER_ADDRESS,
    json: Json = False,
) -> None:
    """Change a face's reference or expiry."""
    if reference is None and expires is None:
        raise Problem("nothing to change: give --reference or --expires", "USAGE")
    never = expires == "never"
    expire_time = None if expires is None or never else future_time(expires, "--expires")
    with matcher_client(address, face_id=face, collection_id=collection) as client:
        found = client.update_face(
            face,
            external_ref=reference,
            expire_time=expire_time,
            never_expires=never,
            collection_id=collection,
        )
    _show(found, json)


def delete_face(
    face: Face,
    yes: Yes = False,
    collection: Collection = DEFAULT_COLLECTION_ID,
    address: Matcher = MATCHER_ADDRESS,
    json: Json = False,
) -> None:
    """Erase one face; the person stays, even without faces."""
    confirm(f"Erase the face {face}?", yes)
    with matcher_client(address, face_id=face, collection_id=collection) as client:
        receipt = client.delete_face(face, collection_id=collection)
    if json:
        output.as_json(output.fields(receipt, face_id=face))
    elif receipt.faces_deleted:
        output.line(f"erased {face}; `facerec people erasure {receipt.erasure_id}` shows its progress")
    else:
        output.line(f"nothing to erase: there is no face {face}")


def _show(found: "StoredFace", json: bool) -> None:
    if json:
        output.as_json({"face": found})
        return
    reference = f", {found.external_ref}" if found.external_ref else ""
    expires = f"expires {format_time(found.expire_time)}" if found.expire_time else "never expires"
    quality = f", quality: {quality_text(found.quality)}" if found.quality else ""
    output.line(f"{found.face_id} of {found.person_id}{reference}: {expires}{quality}")
