"""`facerec demo`: enrolls, verifies and identifies sample photos on a temporary stack."""

import io
import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facerec.cli.local.temporary import temporary_stack
from facerec.cli.terminal import output
from facerec.cli.terminal.errors import Problem, service_problems

if TYPE_CHECKING:
    from facerec.client import MatcherClient

ENROLLED = {"obama": ("obama.jpg", "obama2.jpg"), "biden": ("biden.jpg",)}
CLAIMED = "obama3.jpg"
CLAIMS = {"obama": True, "biden": False}
GROUP = {CLAIMED: "obama", "biden.jpg": "biden"}
GROUP_HEIGHT = 1600


@dataclass(frozen=True)
class Step:
    """One line of the table: an action, its outcome and the expected outcome."""

    action: str
    outcome: str
    expected: str
    distance: float | str
    seconds: float


def demo(
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="A folder for the annotated picture, created if missing.")
    ] = Path("demo-out"),
    folder: Annotated[
        Path | None,
        typer.Option(
            "--photos", metavar="DIR", help="Where the sample photos are kept.  [default: your cache]"
        ),
    ] = None,
) -> None:
    """Try everything on sample photos, on a temporary stack.

    Enrolls, verifies and identifies, and shows the outcomes.
    """
    from facerec import samples
    from facerec.client import MatcherClient

    try:
        photos = samples.sample_photos(folder or samples.cache_folder())
    except samples.SamplesMissing as error:
        raise Problem(str(error), "SAMPLES") from error
    out.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    with (
        temporary_stack() as (_, address),
        service_problems("matcher", address),
        MatcherClient(address) as client,
    ):
        output.line(f"both services ready in {time.monotonic() - started:.1f} s")
        steps = [*_enroll(client, photos), *_verify(client, photos), *_identify(client, photos, out)]
    output.table(
        ("what", "outcome", "expected", "distance", "ms"),
        [(s.action, s.outcome, s.expected, s.distance, round(s.seconds * 1000)) for s in steps],
    )
    output.line(f"annotated picture: {out / 'annotated.jpg'}")
    wrong = [step.action for step in steps if step.outcome != step.expected]
    if wrong:
        raise Problem(f"unexpected outcomes of the demo: {', '.join(wrong)}", "DEMO")


def _enroll(client: "MatcherClient", photos: Path) -> Iterator[Step]:
    for person, names in ENROLLED.items():
        for name in names:
            started = time.monotonic()
            answer = client.enroll(person, (photos / name).read_bytes(), display_name=person.title())
            outcome = "already there" if answer.faces[0].already_enrolled else "enrolled"
            yield Step(f"enroll {person} {name}", outcome, "enrolled", "", time.monotonic() - started)


def _verify(client: "MatcherClient", photos: Path) -> Iterator[Step]:
    words = {True: "match", False: "no match"}
    for person, match in CLAIMS.items():
        started = time.monotonic()
        answer = client.verify(person, (photos / CLAIMED).read_bytes())
        seconds = time.monotonic() - started
        yield Step(
            f"verify {person} {CLAIMED}", words[answer.match], words[match], answer.distance or "", seconds
        )


def _identify(client: "MatcherClient", photos: Path, out: Path) -> Iterator[Step]:
    from facerec.cli.drawing.annotate import draw

    group = _group_picture(photos)
    started = time.monotonic()
    answer = client.identify(group, all_faces=True)
    seconds = time.monotonic() - started
    draw(group, answer.faces, out / "annotated.jpg")
    faces = sorted(answer.faces, key=lambda face: face.bounding_box.left if face.bounding_box else 0)
    for face, person in itertools.zip_longest(faces, GROUP.values(), fillvalue=None):
        best = face.candidates[0] if face and face.candidates else None
        yield Step(
            f"identify face {faces.index(face) + 1 if face else '-'} of the group",
            best.person_id if best else "nobody" if face else "not found",
            person or "no face",
            (best.distance or "") if best else "",
            seconds / max(1, len(faces)),
        )


def _group_picture(photos: Path) -> bytes:
    """The people of GROUP side by side, from photos that are not the enrolled ones: one is mirrored."""
    from PIL import Image, ImageOps

    pictures = []
    for name in GROUP:
        with Image.open(photos / name) as opened:
            picture = opened.convert("RGB")
        picture = picture if name == CLAIMED else ImageOps.mirror(picture)
        pictures.append(picture.resize((picture.width * GROUP_HEIGHT // picture.height, GROUP_HEIGHT)))
    group = Image.new("RGB", (sum(picture.width for picture in pictures), GROUP_HEIGHT))
    left = 0
    for picture in pictures:
        group.paste(picture, (left, 0))
        left += picture.width
    encoded = io.BytesIO()
    group.save(encoded, "JPEG", quality=95)
    return encoded.getvalue()
