"""`facerec verify`, `identify` and `compare`: exit code 0 for a match, 1 for none."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facerec.cli.terminal import output
from facerec.cli.terminal.errors import STDIN, Problem, photo_problems, read_image
from facerec.cli.terminal.labels import LabelFilter, label_filter
from facerec.cli.terminal.options import (
    MATCHER_ADDRESS,
    Collection,
    Image,
    Json,
    LargestFace,
    Matcher,
    MaxDistance,
    MaxStaleness,
    matcher_client,
)
from facerec.cli.terminal.tables import format_number
from facerec.contract import DEFAULT_COLLECTION_ID

if TYPE_CHECKING:
    from facerec.client import Identification, Quality, StoredPerson

NO_MATCH = 1
PERSON = "person:"  # before the id of a person who is a probe; a file of such a name is ./person:ID
MAX_CANDIDATES = 100  # the service does not count matches beyond this


ImageOrPerson = Annotated[
    str, typer.Argument(metavar="IMAGE", help="A photo; - is standard input; person:ID is a person.")
]


def verify(
    person: Annotated[str, typer.Argument(metavar="PERSON", help="The id of the claimed person.")],
    image: Image,
    max_distance: MaxDistance = None,
    largest_face: LargestFace = False,
    collection: Collection = DEFAULT_COLLECTION_ID,
    address: Matcher = MATCHER_ADDRESS,
    json: Json = False,
) -> None:
    """Check a claim: does the photo show PERSON?"""
    data = read_image(image)
    with (
        matcher_client(address, person_id=person, collection_id=collection) as client,
        photo_problems({"probe": image}),
    ):
        answer = client.verify(
            person,
            data,
            max_distance=max_distance,
            use_largest_face=largest_face,
            collection_id=collection,
        )
    if json:
        output.as_json(output.fields(answer, person_id=person, image=image))
    else:
        verdict = f"match: {image} is {person}" if answer.match else f"no match: {image} is not {person}"
        output.line(
            f"{verdict} (distance {output.distance(answer.distance)}, threshold {answer.threshold:.3f}, "
            f"nearest of {answer.faces_compared})"
        )
        _warn(image, answer.quality)
    raise typer.Exit(0 if answer.match else NO_MATCH)


def identify(
    image: ImageOrPerson,
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
    max_staleness: MaxStaleness = None,
    collection: Collection = DEFAULT_COLLECTION_ID,
    address: Matcher = MATCHER_ADDRESS,
    json: Json = False,
) -> None:
    """Say who is in a photo, face by face, or like a person."""
    data = _probe(image)
    if annotate and not isinstance(data, bytes):
        raise Problem(f"--annotate draws on a photo, and {image} is a person", "USAGE")
    if annotate:
        from facerec.cli.drawing.annotate import check_font, check_target

        check_target(annotate)
        check_font(font)
    with (
        matcher_client(address, collection_id=collection) as client,
        photo_problems({"probes": Path(image)}),
    ):
        answer = client.identify(
            data,
            all_faces=True,
            max_distance=max_distance,
            min_face_pixels=min_face_pixels,
            labels=label_filter(label),
            person_ids=person or (),
            max_staleness_seconds=max_staleness,
            collection_id=collection,
        )
    if annotate and isinstance(data, bytes):
        from facerec.cli.drawing.annotate import draw

        draw(data, answer.faces, annotate, font_file=font)
    if json:
        output.as_json(output.fields(answer, image=image))
    elif isinstance(data, bytes):
        _show(Path(image), answer)
    else:
        _show_alike(answer)
    raise typer.Exit(0 if any(face.candidates for face in answer.faces) else NO_MATCH)


def _show(image: Path, answer: "Identification") -> None:
    if not answer.faces:
        output.line(f"{image}: no face found")
        return
    rows: list[tuple[object, ...]] = []
    for number, face in enumerate(answer.faces, 1):
        box = face.bounding_box
        edges = (box.top, box.right, box.bottom, box.left) if box else ("",) * 4
        rows += [
            (number, *edges, candidate.person_id, candidate.display_name, _or_withheld(candidate.distance))
            for candidate in face.candidates
        ] or [(number, *edges, "nobody", "", "")]
    output.table(("face", "top", "right", "bottom", "left", "person", "name", "distance"), rows)
    searched = [face.faces_searched for face in answer.faces if face.faces_searched is not None]
    faces = f", {output.counted(max(searched), 'enrolled face')} searched" if searched else ""
    output.line(f"threshold {answer.threshold:.3f}{faces}")
    for number, face in enumerate(answer.faces, 1):
        if face.exact is None and face.matched_persons > 1:
            output.line(
                f"face {number}: {_people(face.matched_persons)} within the threshold, in the order of their "
                "ids: choosing among them takes a key with scores, or a person's review"
            )
    expected, high = answer.expected_false_positives, answer.expected_false_positives_high
    if expected is not None and high is not None:
        output.line(
            f"expected false positives of an unenrolled face: {format_number(expected)} "
            f"(at most {format_number(high)}, 95 %)"
        )


def _probe(argument: str) -> "bytes | StoredPerson":
    """The photo, or the person of `person:ID`."""
    from facerec.client import StoredPerson

    if argument.startswith(PERSON):
        return StoredPerson(argument.removeprefix(PERSON))
    return read_image(Path(argument))


def _show_alike(answer: "Identification") -> None:
    """Who else is like a person, by which two faces."""
    [found] = answer.faces
    rows = [
        (each.person_id, each.display_name, _or_withheld(each.distance), each.face_id, each.probe_face_id)
        for each in found.candidates
    ]
    if rows:
        output.table(("person", "name", "distance", "face", "of the person's"), rows)
    output.line(
        f"{output.counted(found.matched_persons, 'other person', 'other people')} within the threshold "
        f"{answer.threshold:.3f}"
    )


def _people(matched: int) -> str:
    return f"more than {MAX_CANDIDATES} people are" if matched > MAX_CANDIDATES else f"{matched} people are"


def _or_withheld(distance: float | None) -> float | str:
    return output.distance(None) if distance is None else distance


def _warn(image: Path, quality: "Quality | None") -> None:
    """Warn that a photo's quality is poor."""
    if quality and quality.reasons:
        words = ", ".join(reason.lower().replace("_", " ") for reason in quality.reasons)
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
        matcher_client(address, collection_id=collection) as client,
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
