"""`facerec collections`."""

import enum
from typing import TYPE_CHECKING, Annotated

import typer

from facerec.cli.commands.collection_tables import index_state, show_collection
from facerec.cli.terminal import output, times
from facerec.cli.terminal.options import MATCHER_ADDRESS, Json, Matcher, Yes, collections_of, confirm

if TYPE_CHECKING:
    from facerec.client import CollectionSettings

collections = typer.Typer(
    help="List the collections, and create or change one.",
    rich_markup_mode=None,
)


class Policy(enum.StrEnum):
    """What enrolling does about a face as near to another person as a duplicate."""

    ALLOW = "allow"
    FLAG = "flag"
    REFUSE = "refuse"


Id = Annotated[str, typer.Argument(metavar="COLLECTION", help="Its id: a-z, 0-9, _ and -.")]
Name = Annotated[str | None, typer.Option("--name", help="The collection's name, for people.")]
Verify = Annotated[
    float | None, typer.Option(min=0, max=4, help="Largest distance at which verify and compare match.")
]
Identify = Annotated[
    float | None, typer.Option(min=0, max=4, help="Largest distance of somebody identified.")
]
Duplicates = Annotated[
    Policy | None, typer.Option("--duplicates", help="What enroll does about another person's face.")
]
DuplicateDistance = Annotated[
    float | None,
    typer.Option("--duplicate-threshold", min=0, max=4, help="Largest distance that makes a duplicate."),
]
FacePixels = Annotated[
    int | None,
    typer.Option("--min-face-pixels", min=0, max=65535, help="Shorter side of the smallest face enrolled."),
]
Exact = Annotated[
    bool | None, typer.Option("--exact-only/--use-index", help="Whether identify never asks an index.")
]
IndexAbove = Annotated[
    int | None,
    typer.Option("--index-above", min=1000, max=1_000_000_000, help="Faces above which an index is built."),
]
Trust = Annotated[
    float | None,
    typer.Option(
        "--trust-distance", min=0, max=4, help="Largest distance at which an index result is accepted."
    ),
]
Recall = Annotated[
    float | None,
    typer.Option("--target-recall", min=0.5, max=1, help="Share of searches the index must get right."),
]
Retention = Annotated[
    str | None,
    typer.Option(metavar="LENGTH", help="How long faces are kept, such as 90d or 52w; 0 is for ever."),
]

RefuseQuality = Annotated[
    str | None,
    typer.Option(
        metavar="REASONS",
        help="For which the encoder's reasons no face is enrolled, such as blurred,too-dark; or none.",
    ),
]


@collections.callback(invoke_without_command=True)
def list_collections(context: typer.Context, address: Matcher = MATCHER_ADDRESS, json: Json = False) -> None:
    """List the collections, and create or change one."""
    if context.invoked_subcommand:
        return
    with collections_of(address) as client:
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
    output.table(("collection", "name", "faces, about", "index", "created"), rows)
    output.line(output.counted(len(found), "collection"))


@collections.command()
def create(
    collection: Id,
    space: Annotated[
        str, typer.Option(help="The space of its encodings, for good.")
    ] = "dlib-resnet-v1/small/150x0.25",
    name: Name = None,
    verify_threshold: Verify = None,
    identify_threshold: Identify = None,
    duplicates: Duplicates = None,
    duplicate_threshold: DuplicateDistance = None,
    min_face_pixels: FacePixels = None,
    exact_only: Exact = None,
    index_above: IndexAbove = None,
    trust_distance: Trust = None,
    target_recall: Recall = None,
    retention: Retention = None,
    refuse_quality: RefuseQuality = None,
    address: Matcher = MATCHER_ADDRESS,
    json: Json = False,
) -> None:
    """Add an empty collection."""
    settings = _settings(
        name,
        verify_threshold,
        identify_threshold,
        duplicates,
        duplicate_threshold,
        min_face_pixels,
        exact_only,
        index_above,
        trust_distance,
        target_recall,
        retention,
        refuse_quality,
    )
    with collections_of(address, collection_id=collection) as client:
        created = client.create_collection(collection, settings, space=space)
    show_collection(created, f"created {created.collection_id}", json)


@collections.command()
def show(collection: Id = "default", address: Matcher = MATCHER_ADDRESS, json: Json = False) -> None:
    """Show a collection's settings, size and index."""
    with collections_of(address, collection_id=collection) as client:
        found = client.get_collection(collection)
    show_collection(found, found.collection_id, json)


@collections.command(name="set")
def change(
    collection: Id,
    name: Name = None,
    verify_threshold: Verify = None,
    identify_threshold: Identify = None,
    duplicates: Duplicates = None,
    duplicate_threshold: DuplicateDistance = None,
    min_face_pixels: FacePixels = None,
    exact_only: Exact = None,
    index_above: IndexAbove = None,
    trust_distance: Trust = None,
    target_recall: Recall = None,
    retention: Retention = None,
    refuse_quality: RefuseQuality = None,
    address: Matcher = MATCHER_ADDRESS,
    json: Json = False,
) -> None:
    """Change a collection's settings; what isn't named stays."""
    settings = _settings(
        name,
        verify_threshold,
        identify_threshold,
        duplicates,
        duplicate_threshold,
        min_face_pixels,
        exact_only,
        index_above,
        trust_distance,
        target_recall,
        retention,
        refuse_quality,
    )
    with collections_of(address, collection_id=collection) as client:
        changed = client.update_collection(settings, collection_id=collection)
    show_collection(changed, f"changed {changed.collection_id}", json)


@collections.command()
def delete(collection: Id, yes: Yes = False, address: Matcher = MATCHER_ADDRESS, json: Json = False) -> None:
    """Erase a collection and everybody in it.

    `default` is left, empty and as new.
    """
    confirm(f"Erase the collection {collection} and everybody in it?", yes)
    with collections_of(address, collection_id=collection) as client:
        receipt = client.delete_collection(collection)
    if json:
        output.as_json(output.fields(receipt, collection_id=collection))
    elif receipt.collections_deleted:
        people = output.counted(receipt.persons_deleted, "person", "people")
        output.line(f"erased {collection}, {people} and {output.counted(receipt.faces_deleted, 'face')}")
    else:
        output.line(f"no collection {collection} was there")


def _settings(
    name: str | None,
    verify_threshold: float | None,
    identify_threshold: float | None,
    duplicates: Policy | None,
    duplicate_threshold: float | None,
    min_face_pixels: int | None,
    exact_only: bool | None,
    index_above: int | None,
    trust_distance: float | None,
    target_recall: float | None,
    retention: str | None,
    refuse_quality: str | None,
) -> "CollectionSettings":
    from facerec.client import CollectionSettings

    return CollectionSettings(
        display_name=name,
        verify_threshold=verify_threshold,
        identify_threshold=identify_threshold,
        duplicate_policy=duplicates and str(duplicates),
        duplicate_threshold=duplicate_threshold,
        min_face_pixels=min_face_pixels,
        exact_only=exact_only,
        index_above_faces=index_above,
        trust_distance=trust_distance,
        target_recall=target_recall,
        retention=None if retention is None else times.duration(retention, "--retention"),
        refused_qualities=None if refuse_quality is None else _reasons(refuse_quality),
    )


def _reasons(text: str) -> tuple[str, ...]:
    """Read `blurred,too-dark`, or `none`."""
    if text.lower() == "none":
        return ()
    return tuple(word.strip().upper().replace("-", "_") for word in text.split(","))
