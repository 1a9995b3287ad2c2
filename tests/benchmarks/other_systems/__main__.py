"""Prints the distances between other systems' vectors and ours of the same photos: see --help."""

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.benchmarks.encoder import pictures
from tests.benchmarks.encoder.pictures import Photo
from tests.benchmarks.encoder.tables import table
from tests.benchmarks.other_systems import figures, systems
from tests.benchmarks.other_systems.systems import Faces, OfDetectors

MAX_PIXELS: Final = 500
"""The longer side of the photos: HOG takes long on larger ones, and every system sees the same pixels."""

SPREAD: Final = ("faces", "median", "p95", "max")
RATES: Final = ("same person: median", "p95", "max", "others: min", "median", "FNMR at 0.6", "FMR at 0.6")


def main() -> None:
    """Measure the systems that this machine can run, and say which it cannot."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.other_systems")
    parser.add_argument("--photos", type=Path, help="a folder with more photos, people/NAME/*.jpg")
    parser.add_argument("--node-modules", type=Path, help="the packages of @vladmandic/face-api")
    parser.add_argument("--deepface-python", type=Path, help="the Python of an environment with deepface")
    options = parser.parse_args()
    photos = _photos(options.photos)
    ours = systems.of_face_recognition(photos)
    theirs: dict[str, Faces] = {"go-face": systems.of_go_face(photos)}
    modules, python = options.node_modules, options.deepface_python
    if shutil.which("node") and modules and modules.is_dir():
        theirs |= _named("face-api", systems.of_face_api(photos, modules))
        _print_same_chips(photos, ours, modules)
    else:
        print("skipped face-api: it needs Node and --node-modules", file=sys.stderr)
    if python:
        theirs |= _named("deepface", systems.of_deepface(photos, python))
    else:
        print("skipped deepface: it needs --deepface-python", file=sys.stderr)
    _print_distances(photos, ours, theirs)


def _photos(folder: Path | None) -> list[Photo]:
    """The photos in their final size, each once, with a name that no other has.

    The sample 32bit.png is obama2.jpg in another format.
    """
    found: dict[bytes, Photo] = {}
    given = [photo for photo in pictures.photos(folder) if photo.name != "32bit.png"]
    named_first = sorted(given, key=lambda photo: not photo.person)
    for number, photo in enumerate(named_first):
        longer = max(photo.image.size)
        image = pictures.sized(photo.image, MAX_PIXELS) if longer > MAX_PIXELS else photo.image
        found.setdefault(image.tobytes(), Photo(f"{number} {photo.name}", photo.person, image))
    return list(found.values())


def _named(system: str, of_detectors: OfDetectors) -> dict[str, Faces]:
    return {f"{system}, {detector}": faces for detector, faces in of_detectors.items()}


def _print_same_chips(photos: Sequence[Photo], ours: Faces, modules: Path) -> None:
    """How far the networks alone differ: face-api's gets the chips that face_recognition cuts."""
    chips = systems.chips(photos, ours)
    theirs = systems.of_face_api(chips, modules, are_chips=True)["chip"]
    pairs = [
        figures.Pair(chip.person, ours[chip.name][0].vector, theirs[chip.name][0].vector) for chip in chips
    ]
    print(table(("one chip, by both networks", *SPREAD), [["face-api", *figures.of_one_face(pairs)]]))


def _print_distances(photos: Sequence[Photo], ours: Faces, theirs: dict[str, Faces]) -> None:
    pairs = {name: figures.matched(photos, ours, faces) for name, faces in theirs.items()}
    rows = [[name, *figures.of_one_face(found)] for name, found in pairs.items()]
    print(table(("one face, by both systems", *SPREAD), rows))
    alone = [(photo.person, ours[photo.name][0].vector) for photo in photos if len(ours[photo.name]) == 1]
    rows = [["face_recognition", *figures.within(alone)]]
    for name, found in pairs.items():
        rows.append([name, *figures.within([(pair.person, pair.theirs) for pair in found])])
        rows.append([f"ours against {name}", *figures.across(found)])
    print(table(("two photos", *RATES), rows))


if __name__ == "__main__":
    main()
