"""`facerec verify`, `identify` and `compare`: exit code 0 for a match, 1 for none."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facerec.cli.commands.identification_tables import show, show_alike
from facerec.cli.terminal import output
from facerec.cli.terminal.errors import STDIN, Problem, photo_problems, read_image, read_images
from facerec.cli.terminal.labels import LabelFilter, label_filter
from facerec.cli.terminal.options import (
    MATCHER_ADDRESS,
    Collection,
    Images,
    Json,
    LargestFace,
    Matcher,
    MaxDistance,
    MaxStaleness,
    matcher_client,
)
from facerec.cli.terminal.qualities import reason_text
from facerec.contract import DEFAULT_COLLECTION_ID

if TYPE_CHECKING:
    from facerec.client import Quality, StoredPerson

NO_MATCH = 1
PERSON = "person:"  # before the id of a person who is a probe; a file of such a name is ./person:ID


ImagesOrPerson = Annotated[
    list[str],
    typer.Argument(metavar="IMAGE...", help="Photos; - is standard input; person:ID is a person."),
]


def verify(
    person: Annotated[str, typer.Argument(metavar="PERSON", help="The id of the claimed person.")],
    images: Images,
    max_distance: MaxDistance = None,
    largest_face: LargestFace = False,
    collection: Collection = DEFAULT_COLLECTION_ID,
    address: Matcher = MATCHER_ADDRESS,
    json: Json = False,
) -> None:
    """Check a claim: does the photo show PERSON?

    Several photos of one face are one claim.
    """
    data = read_images(images)
    with (
        matcher_client(address, person_id=person, collection_id=collection) as client,
        photo_problems(_fields(images) if images[1:] else {"probe": images[0]}),
    ):
        answer = client.verify(
            person,
            *data,
            max_distance=max_distance,
            use_largest_face=largest_face,
            collection_id=collection,
        )
    if json:
        shown = {"images": images} if images[1:] else {"image": images[0]}
        output.as_json(output.fields(answer, person_id=person, **shown))
    else:
        verdict = "match" if answer.match else "no match"
        measure = f"distance {output.distance(answer.distance)}, threshold {answer.threshold:.3f}"
        rule = "nearest of" if answer.score_rule == "nearest" else "root mean square of"
        output.line(
            f"{verdict}: {_claim(images, person, answer.match)} ({measure}, {rule} {answer.faces_compared})"
        )
        for image, quality in zip(images, answer.qualities or (answer.quality,), strict=True):
            _warn(image, quality)
    raise typer.Exit(0 if answer.match else NO_MATCH)


def identify(
    images: ImagesOrPerson,
    annotate: Annotated[
        Path | None, typer.Option(metavar="OUT.jpg", help="Write a copy with boxes, names and distances.")
    ] = None,
    font: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A font (.ttf, .otf, .ttc) that has the names' letters."),
    ] = None,
    max_distance: MaxDistance = None,
    min_face_pixels: Annotated[
        int,
        typer.Option(
            min=0, max=65535, help="Find faces with a shorter side down to this many pixels; slower."
        ),
    ] = 0,
    label: LabelFilter = None,
    person: Annotated[
        list[str] | None, typer.Option(metavar="PERSON", help="Only this person. Repeatable.")
    ] = None,
    same_person: Annotated[
        bool, typer.Option("--same-person", help="The photos are of one person, who is searched for.")
    ] = False,
    largest_face: LargestFace = False,
    max_staleness: MaxStaleness = None,
    collection: Collection = DEFAULT_COLLECTION_ID,
    address: Matcher = MATCHER_ADDRESS,
    json: Json = False,
) -> None:
    """Say who is in a photo, face by face, or like a person.

    With --same-person, who is in all the photos, each of which shows one face.
    """
    alike = next((each for each in images if each.startswith(PERSON)), None)
    if images[1:] and not same_person:
        raise Problem("several photos must be of one person: add --same-person", "USAGE")
    if same_person and annotate:
        raise Problem("--annotate and --same-person exclude each other", "USAGE")
    if largest_face and not same_person:
        raise Problem("every face is searched for: --largest-face needs --same-person", "USAGE")
    if alike and (annotate or same_person):
        option = "--annotate draws on a photo" if annotate else "--same-person takes photos"
        raise Problem(f"{option}, and {alike} is a person", "USAGE")
    photos = [] if alike else [Path(image) for image in images]
    data = read_images(photos) if photos else [_probe(images[0])]
    if annotate:
        from facerec.cli.drawing.annotate import check_font, check_target

        check_target(annotate)
        check_font(font)
    with (
        matcher_client(
            address, collection_id=collection, **_person_fields(**{"probes[0]": images[0]})
        ) as client,
        photo_problems(_fields(photos)),
    ):
        answer = client.identify(
            *data,
            all_faces=not same_person,
            same_person=same_person,
            use_largest_face=largest_face,
            max_distance=max_distance,
            min_face_pixels=min_face_pixels,
            labels=label_filter(label),
            person_ids=person or (),
            max_staleness_seconds=max_staleness,
            collection_id=collection,
        )
    if annotate and isinstance(data[0], bytes):
        from facerec.cli.drawing.annotate import draw

        draw(data[0], answer.faces, annotate, font_file=font)
    if json:
        shown = {"images": images} if same_person else {"image": images[0]}
        output.as_json(output.fields(answer, **shown))
    elif photos:
        show(photos[0], answer)
    else:
        show_alike(answer)
    raise typer.Exit(0 if any(face.candidates for face in answer.faces) else NO_MATCH)


def _fields(images: Sequence[Path]) -> dict[str, Path]:
    """The photos by their fields of a request."""
    return {f"probes[{number}]": image for number, image in enumerate(images)}


def _claim(images: Sequence[Path], person: str, match: bool) -> str:
    """Whether photos show a person, in a sentence."""
    negation = "" if match else " not"
    if len(images) == 1:
        return f"{images[0]} is{negation} {person}"
    more = str(images[1]) if len(images) == 2 else f"{len(images) - 1} more"
    return f"{len(images)} photos ({images[0]} and {more}) are{negation} of {person}"


def _probe(argument: str) -> "bytes | StoredPerson":
    """The photo, or the person of `person:ID`."""
    from facerec.client import StoredPerson

    if argument.startswith(PERSON):
        return StoredPerson(argument.removeprefix(PERSON))
    return read_image(Path(argument))


def _person_fields(**probes: str) -> dict[str, str]:
    """The persons among arguments that are probes, by their fields of a request."""
    return {
        f"{field}.person_id": argument.removeprefix(PERSON)
        for field, argument in probes.items()
        if argument.startswith(PERSON)
    }


def _warn(image: Path, quality: "Quality | None") -> None:
    """Warn that a photo's quality is poor."""
    if quality and quality.reasons:
        words = reason_text(quality)
        output.error_line(f"note: the face in {image} is {words}; a better photo gives a surer decision")


def compare(
    a: Annotated[
        str, typer.Argument(metavar="A", help="A photo; - is standard input; person:ID is a person.")
    ],
    b: Annotated[str, typer.Argument(metavar="B", help="Another photo or person.")],
    max_distance: MaxDistance = None,
    largest_face: LargestFace = False,
    collection: Collection = DEFAULT_COLLECTION_ID,
    address: Matcher = MATCHER_ADDRESS,
    json: Json = False,
) -> None:
    """Decide whether two photos, or two ids, are of one person."""
    if a == b == str(STDIN):
        raise Problem("only one photo can come from standard input: name a file for the other", "USAGE")
    probes = _probe(a), _probe(b)
    with (
        matcher_client(address, collection_id=collection, **_person_fields(probe_a=a, probe_b=b)) as client,
        photo_problems({"probe_a": Path(a), "probe_b": Path(b)}),
    ):
        answer = client.compare(
            *probes, max_distance=max_distance, use_largest_face=largest_face, collection_id=collection
        )
    if json:
        output.as_json(output.fields(answer, image_a=a, image_b=b))
    else:
        verdict = "match" if answer.match else "no match"
        measure = f"distance {output.distance(answer.distance)}, threshold {answer.threshold:.3f}"
        output.line(f"{verdict}: {a} and {b} ({measure})")
        _warn(Path(a), answer.quality_a)
        _warn(Path(b), answer.quality_b)
    raise typer.Exit(0 if answer.match else NO_MATCH)
