"""The differences of the default profile from full resolution: boxes, vectors, decisions."""

import dataclasses
import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from encoder_service.domain.faces import BoundingBox
from encoder_service.pipeline.scanner import SearchSizes
from tests.benchmarks.encoder import engine, pictures
from tests.benchmarks.encoder.engine import DEFAULT, FULL, Engine, Found
from tests.benchmarks.encoder.tables import table

THRESHOLD = 0.6
SAME_FACE = 0.4  # of two boxes: their shared area over their common one


@dataclasses.dataclass(frozen=True, eq=False)
class Taken:
    """One variant of a photo: its bytes, and the faces at full resolution."""

    photo: str
    person: str
    variant: str
    image: bytes
    faces: Sequence[Found]


@dataclasses.dataclass(frozen=True)
class Comparison:
    """A profile against full resolution."""

    faces: int
    of_all: float
    missed: Sequence[str]
    added: int
    same_boxes: float
    median: float
    p90: float
    largest: float
    pairs: int
    otherwise: Sequence[str]


def take(photos: Iterable[pictures.Photo], whole: Engine, *, without: Sequence[str] = ()) -> list[Taken]:
    """Make every variant of the photos but some and encode it at full resolution."""
    return [
        Taken(photo.name, photo.person, name, image, whole.encode(image, FULL))
        for photo in photos
        for name, image in pictures.variants(photo.image)
        if name not in without
    ]


def compare(taken: Sequence[Taken], profile: Engine, *, least_share: float) -> Comparison:
    """Encode every variant by a profile that must find faces of `least_share` of the longer side."""
    distances, same, missed, added, total = [], [], [], 0, 0
    largest: list[tuple[Taken, Found, Found]] = []
    for each in taken:
        found = profile.encode(each.image, DEFAULT)
        matched = 0
        side = _longer_side(each.image)
        for index, face in enumerate(each.faces):
            box = face.detection.box
            near = max(found, key=lambda other: shared(box, other.detection.box), default=None)
            is_found = near is not None and shared(box, near.detection.box) >= SAME_FACE
            if min(box.width, box.height) >= least_share * side:
                total += 1
                if not is_found:
                    missed.append(f"{each.photo}, {each.variant}: {box.width} pixels")
            if is_found:
                assert near is not None
                matched += 1
                distances.append(float(np.linalg.norm(near.vector - face.vector)))
                same.append(near.detection.box == box)
                if index == 0:
                    largest.append((each, face, near))
        added += len(found) - matched
    pairs, otherwise = _decisions(largest)
    median, p90, furthest = (float(value) for value in np.quantile(distances, [0.5, 0.9, 1]))
    every = sum(len(each.faces) for each in taken)
    same_boxes, of_all = float(np.mean(same)), len(distances) / every
    return Comparison(total, of_all, missed, added, same_boxes, median, p90, furthest, pairs, otherwise)


def _decisions(faces: Sequence[tuple[Taken, Found, Found]]) -> tuple[int, list[str]]:
    """Decide on every pair of labelled photos, both as they came or both degraded alike."""
    pairs, otherwise = 0, []
    known = [face for face in faces if face[0].person]
    for (a, a_full, a_near), (b, b_full, b_near) in itertools.combinations(known, 2):
        if a.variant != b.variant:
            continue
        pairs += 1
        full = float(np.linalg.norm(a_full.vector - b_full.vector))
        near = float(np.linalg.norm(a_near.vector - b_near.vector))
        if (full <= THRESHOLD) != (near <= THRESHOLD):
            who = "one person" if a.person == b.person else "two people"
            otherwise.append(f"{a.photo} and {b.photo} ({who}), {a.variant}: {full:.3f} and {near:.3f}")
    return pairs, otherwise


def shared(a: BoundingBox, b: BoundingBox) -> float:
    width = min(a.right, b.right) - max(a.left, b.left) + 1
    height = min(a.bottom, b.bottom) - max(a.top, b.top) + 1
    shared = max(width, 0) * max(height, 0)
    return shared / (a.area + b.area - shared)


def _longer_side(image: bytes) -> int:
    from encoder_service.decoding.header import ImageLimits
    from encoder_service.decoding.images import Picture

    with Picture(image, ImageLimits()) as picture:
        return max(picture.width, picture.height)


def run(folder: Path | None, sides: Sequence[tuple[int, int]]) -> None:
    """Print how each profile differs from full resolution, and the pairs that it decides otherwise."""
    taken = take(pictures.photos(folder), engine.build())
    rows, notes = [], []
    for first, again in sides:
        share = 72 / (first / 1.2)  # the copy is up to one level smaller than its bound
        result = compare(taken, engine.build(search_sizes=SearchSizes(first, again)), least_share=share)
        recall = 1 - len(result.missed) / max(result.faces, 1)
        rows.append(
            (
                f"{first}, then {again}",
                f"{share:.0%}",
                f"{recall:.1%} of {result.faces}",
                f"{result.of_all:.1%}",
                result.added,
                f"{result.same_boxes:.0%}",
                *(f"{value:.3f}" for value in (result.median, result.p90, result.largest)),
                f"{len(result.otherwise)} of {result.pairs}",
            )
        )
        notes += [f"{first}: missed {each}" for each in result.missed]
        notes += [f"{first}: decided otherwise on {each}" for each in result.otherwise]
    head = (
        "longer sides of the copies",
        "faces from",
        "of these found",
        "of all faces found",
        "added",
        "same box",
        "distance, median",
        "p90",
        "largest",
    )
    print(table((*head, "pairs decided otherwise"), rows))
    print("\n".join(notes) or "nothing missed, nothing decided otherwise")
