"""Prints what Identify answered."""

from pathlib import Path
from typing import TYPE_CHECKING

from facerec.cli.terminal import output
from facerec.cli.terminal.tables import format_number

if TYPE_CHECKING:
    from facerec.client import Identification

MAX_CANDIDATES = 100  # the service does not count matches beyond this


def show(image: Path, answer: "Identification") -> None:
    """Who each face of a photo is, with the threshold and what may be false."""
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


def show_alike(answer: "Identification") -> None:
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
