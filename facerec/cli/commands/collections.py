"""`facerec collections`."""

from typing import Annotated

import typer

from facerec.cli.commands.collection_options import SettingsOptions, takes_settings
from facerec.cli.commands.collection_tables import index_state, show_collection
from facerec.cli.terminal import output
from facerec.cli.terminal.options import MATCHER_ADDRESS, Json, Matcher, Yes, collection_client, confirm
from facerec.cli.terminal.repeating import RequestId
from facerec.contract import DEFAULT_COLLECTION_ID, DEFAULT_SPACE

collections = typer.Typer(
    help="List the collections, and create or change one.",
    rich_markup_mode=None,
)


Id = Annotated[str, typer.Argument(metavar="COLLECTION", help="The collection's id: a-z, 0-9, _ and -.")]


@collections.callback(invoke_without_command=True)
def list_collections(context: typer.Context, address: Matcher = MATCHER_ADDRESS, json: Json = False) -> None:
    """List the collections, and create or change one."""
    if context.invoked_subcommand:
        return
    with collection_client(address) as client:
        found = list(client.list_collections(page_size=1000))
    if json:
        output.as_json({"collections": found})
        return
    rows = [
        (
            c.collection_id,
            c.settings.display_name,
            c.estimated_faces,
            index_state(c.index),
            c.create_time,
        )
        for c in found
    ]
    output.table(("collection", "name", "faces (about)", "index", "created"), rows)
    output.line(output.counted(len(found), "collection"))


@collections.command()
@takes_settings
def create(
    collection: Id,
    *,
    space: Annotated[
        str, typer.Option(help="The space of its encodings, which can't be changed later.")
    ] = DEFAULT_SPACE,
    options: SettingsOptions,
    address: Matcher = MATCHER_ADDRESS,
    json: Json = False,
) -> None:
    """Add an empty collection."""
    with collection_client(address, collection_id=collection) as client:
        created = client.create_collection(collection, options.settings(), space=space)
    show_collection(created, f"created {created.collection_id}", json)


@collections.command()
def show(
    collection: Id = DEFAULT_COLLECTION_ID, address: Matcher = MATCHER_ADDRESS, json: Json = False
) -> None:
    """Show a collection's settings, size and index."""
    with collection_client(address, collection_id=collection) as client:
        found = client.get_collection(collection)
    show_collection(found, found.collection_id, json)


@collections.command(name="set")
@takes_settings
def change(
    collection: Id,
    *,
    options: SettingsOptions,
    address: Matcher = MATCHER_ADDRESS,
    json: Json = False,
) -> None:
    """Change a collection's settings; those not given stay as they are."""
    with collection_client(address, collection_id=collection) as client:
        changed = client.update_collection(options.settings(), collection_id=collection)
    show_collection(changed, f"changed {changed.collection_id}", json)


@collections.command()
def delete(
    collection: Id,
    yes: Yes = False,
    request_id: RequestId = "",
    address: Matcher = MATCHER_ADDRESS,
    json: Json = False,
) -> None:
    """Erase a collection and everybody in it.

    `default` stays, empty and with the settings of a new collection.
    """
    confirm(f"Erase the collection {collection} and everybody in it?", yes)
    with collection_client(address, collection_id=collection) as client:
        receipt = client.delete_collection(collection, force=True, request_id=request_id)
    if json:
        output.as_json(output.fields(receipt, collection_id=collection))
    elif receipt.collections_deleted:
        people = output.counted(receipt.persons_deleted, "person", "people")
        output.line(f"erased {collection}, {people} and {output.counted(receipt.faces_deleted, 'face')}")
    else:
        output.line(f"nothing to erase: there is no collection {collection}")
