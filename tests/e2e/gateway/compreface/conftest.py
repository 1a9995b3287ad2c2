"""A gateway with CompreFace's paths, over a collection that is empty when a test begins."""

import io
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from facerec.client import CollectionClient
from tests.e2e.gateway.compreface.calling import RECOGNITION, call
from tests.fixtures.gateway import GatewayProcess


@pytest.fixture(scope="module")
def collection(matcher_address: str) -> str:
    """A collection of the module's own."""
    name = f"compreface-{uuid.uuid4().hex[:8]}"
    with CollectionClient(matcher_address) as collections:
        collections.create_collection(name)
    return name


@pytest.fixture(scope="module")
def server(encoder_address: str, matcher_address: str, collection: str) -> Iterator[str]:
    """HOST:PORT of a gateway with CompreFace's paths, over the collection."""
    flags = ("--compreface-paths", "--compreface-collection", collection)
    process = GatewayProcess(encoder_address, matcher_address, *flags)
    try:
        yield process.address
    finally:
        code = process.stop()
    assert code == 0


@pytest.fixture
def empty(server: str) -> None:
    """The collection is empty when the test begins."""
    assert call(server, "DELETE", f"{RECOGNITION}/subjects").status == 200


@pytest.fixture(scope="module")
def photos(sample_photos: Path) -> dict[str, bytes]:
    """Photos by their names, and `both` of Obama, larger, and Biden."""
    found = {path.stem: path.read_bytes() for path in sample_photos.glob("*.jpg")}
    found["both"] = _side_by_side(found["obama"], found["biden"])
    found["nobody"] = _encoded(Image.new("RGB", (200, 200), "gray"))
    return found


def _side_by_side(left: bytes, right: bytes) -> bytes:
    first, large = Image.open(io.BytesIO(left)), Image.open(io.BytesIO(right))
    second = large.resize((large.width * 3 // 4, large.height * 3 // 4))
    joined = Image.new("RGB", (first.width + second.width, max(first.height, second.height)))
    joined.paste(first, (0, 0))
    joined.paste(second, (first.width, 0))
    return _encoded(joined)


def _encoded(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=90)
    return file.getvalue()
