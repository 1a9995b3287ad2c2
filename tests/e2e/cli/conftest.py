import io
import json
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from facerec.client import CollectionClient, MatcherClient
from tests.fixtures import commands
from tests.fixtures.matcher import MatcherProcess


@dataclass(frozen=True)
class Ran(commands.Ran):
    """What a command printed, its exit code, and the documented shape of what it prints as JSON."""

    shape: Any

    @property
    def json(self) -> Any:
        """The object printed, once it has the shape that docs/cli.md gives it."""
        document = json.loads(self.out)
        assert _fits(_shape(document), self.shape)
        return document


def _shape(value: Any) -> Any:
    """Names and types of a JSON value, a list's by its first item."""
    if isinstance(value, dict):
        return {name: _shape(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_shape(item) for item in value[:1]]
    return type(value).__name__


def _fits(shape: Any, documented: Any, name: str = "") -> bool:
    """Whether a shape is the documented one; what may be null is named so in docs/cli.md."""
    if isinstance(documented, dict) and isinstance(shape, dict):
        if name in MAPS:
            return True
        return list(shape) == list(documented) and all(
            _fits(shape[key], documented[key], key) for key in documented
        )
    if isinstance(documented, list) and isinstance(shape, list):
        return all(_fits(item, documented[0], name) for item in shape)
    return bool(shape == documented or (shape == "NoneType" and name in NULLABLE))


def _documented() -> dict[str, Any]:
    text = (Path(__file__).parents[3] / "docs" / "cli.md").read_text()
    sections = re.findall(r"^### ([a-z -]+)\n(.*?)(?=^### |\Z)", text, re.MULTILINE | re.DOTALL)
    return {name: _shape(json.loads(body.split("```json")[1].split("```")[0])) for name, body in sections}


SHAPES = _documented()
MAPS = {"labels", "metadata", "details"}  # whose keys are anybody's
NULLABLE = {
    *("expire_time", "duplicate_distance", "recall", "build_time", "quality", "quality_a", "quality_b"),
    "bounding_box",
    *("caller", "probes_per_second", "failed_tries_per_day"),
    *(
        "database_ready",
        "estimated_faces",
        "recall_time",
        "match",
        "expected_false_positives",
        "expected_false_positives_high",
        "agreement",
        "confirmed",
    ),
    *(
        "vacuum_time",
        "scrub_time",
        "applied",
        "fnmr",
        "encoding",
        "identify",
        "recall_low",
        "far_recall",
        "far_recall_low",
    ),
}


@dataclass(frozen=True)
class Terminal:
    """Runs `facerec` as somebody at a terminal does, against one stack."""

    encoder: str
    matcher: str

    def run(self, *arguments: object) -> Ran:
        addresses = {"FACEREC_ENCODER": self.encoder, "FACEREC_MATCHER": self.matcher}
        done = commands.run("facerec", *arguments, **addresses)
        assert "Traceback" not in done.err
        both = " ".join(map(str, arguments[:2]))
        shape = SHAPES["error" if done.code == 2 else both if both in SHAPES else str(arguments[0])]
        return Ran(done.code, done.out, done.err, shape)


@pytest.fixture(scope="module")
def terminal(
    make_database: Callable[[str], str], template_database: str, encoder_address: str
) -> Iterator[Terminal]:
    server = MatcherProcess(make_database(template_database), "--encoder-address", encoder_address)
    try:
        server.event("database_ready")
        yield Terminal(encoder_address, server.address)
    finally:
        server.stop()


@dataclass(frozen=True)
class Prepared:
    """Puts collections and people there before a test asks the commands about them."""

    address: str

    def collection(self, name: str, people: Mapping[str, Path] | None = None) -> None:
        """A collection as a new one is, with these people's photos."""
        with CollectionClient(self.address) as collections, MatcherClient(self.address) as matcher:
            collections.delete_collection(name, force=True)
            collections.create_collection(name)
            for person, photo in (people or {}).items():
                matcher.enroll(person, photo.read_bytes(), collection_id=name)


@pytest.fixture(scope="module")
def prepared(terminal: Terminal) -> Prepared:
    return Prepared(terminal.matcher)


@pytest.fixture(scope="module")
def album(sample_photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two people with three photos that are fine, and one without a face and one that is no photo."""
    album = tmp_path_factory.mktemp("album")
    for person, names in {"obama": ("obama.jpg", "obama2.jpg"), "biden": ("biden.jpg",)}.items():
        (album / person).mkdir()
        for name in names:
            shutil.copy(sample_photos / name, album / person)
    with Image.open(sample_photos / "obama.jpg") as photo:
        photo.crop((0, 700, 400, 1100)).save(album / "obama" / "hands.jpg")
    (album / "biden" / "note.jpg").write_text("no photo at all")
    return album


@pytest.fixture(scope="module")
def group(sample_photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A picture of both, from one photo that is not in the album and one mirrored; obama is on the left."""
    with Image.open(sample_photos / "obama3.jpg") as left, Image.open(sample_photos / "biden.jpg") as right:
        picture = Image.new("RGB", (left.width + right.width, max(left.height, right.height)))
        picture.paste(left, (0, 0))
        picture.paste(right.transpose(Image.Transpose.FLIP_LEFT_RIGHT), (left.width, 0))
        picture.thumbnail((1000, 1000))
    encoded = io.BytesIO()
    picture.save(encoded, "PNG")
    path = tmp_path_factory.mktemp("group") / "group.png"
    path.write_bytes(encoded.getvalue())
    return path
