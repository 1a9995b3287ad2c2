"""`facerec people suspend` and `facerec people resume`."""

from typing import Annotated

import typer

from facerec.cli.terminal import output
from facerec.cli.terminal.options import MATCHER_ADDRESS, Collection, Json, Matcher, matcher_client
from facerec.contract import DEFAULT_COLLECTION_ID

Person = Annotated[str, typer.Argument(metavar="PERSON", help="The person's id.")]


def suspend(
    person: Person,
    collection: Collection = DEFAULT_COLLECTION_ID,
    address: Matcher = MATCHER_ADDRESS,
    json: Json = False,
) -> None:
    """Have a person match no claim until resumed."""
    _update(person, collection, address, suspended=True, json=json)


def resume(
    person: Person,
    collection: Collection = DEFAULT_COLLECTION_ID,
    address: Matcher = MATCHER_ADDRESS,
    json: Json = False,
) -> None:
    """Have a suspended person match claims again."""
    _update(person, collection, address, suspended=False, json=json)


def _update(person: str, collection: str, address: str, *, suspended: bool, json: bool) -> None:
    with matcher_client(address, person_id=person, collection_id=collection) as client:
        changed = client.update_person(person, suspended=suspended, collection_id=collection)
    if json:
        output.as_json({"person": changed})
    else:
        output.line(f"{changed.person_id} is {'suspended' if changed.suspended else 'not suspended'}")
