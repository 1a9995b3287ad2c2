"""The content hashes of photos, encodings and requests."""

import uuid

import numpy as np

from matcher_service.domain.content_hash import content_digest, content_id
from matcher_service.domain.faces import Encoding, Photo, Probe

VECTOR = np.arange(128, dtype=np.float32)
CONTENT = uuid.UUID(int=1)


async def test_a_photo_is_its_bytes_and_an_encoding_its_values_and_space() -> None:
    photo = await content_id(Photo(b"abc"))
    assert photo == await content_id(Photo(b"abc", use_largest_face=True))
    assert photo != await content_id(Photo(b"abd"))
    encoding = await content_id(Encoding(VECTOR, "s"))
    assert encoding == await content_id(Encoding(VECTOR.copy(), "s", "another machine"))
    assert encoding != await content_id(Encoding(VECTOR, "t"))
    assert encoding != await content_id(Encoding(VECTOR[::-1], "s"))


async def test_a_photos_bytes_cannot_pass_for_an_encoding() -> None:
    """Nor for an encoding behind the tag and the lengths it is hashed with."""
    encoding = Encoding(VECTOR, "s")
    parts = (b"facerec/encoding/1", b"s", VECTOR.tobytes())
    forged = b"".join(len(part).to_bytes(8, "big") + part for part in parts)
    for image in (VECTOR.tobytes(), b"".join(parts), forged):
        assert await content_id(Photo(image)) != await content_id(encoding)


def test_every_part_of_a_request_counts_and_none_runs_into_the_next() -> None:
    probe = Probe(Photo(b"abc"), "items[0].probe")
    largest = Probe(Photo(b"abc", use_largest_face=True), "items[0].probe")
    stored = Probe(CONTENT, "items[0].probe")
    digests = [
        content_digest("ann", None, [(probe, CONTENT, "")]),
        content_digest("ann", "", [(probe, CONTENT, "")]),
        content_digest("ann", "x", [(probe, CONTENT, "")]),
        content_digest("annx", None, [(probe, CONTENT, "")]),
        content_digest("ann", None, [(probe, CONTENT, "x")]),
        content_digest("ann", None, [(largest, CONTENT, "")]),
        content_digest("ann", None, [(stored, CONTENT, "")]),
        content_digest("ann", None, [(probe, uuid.UUID(int=2), "")]),
        content_digest("ann", None, [(probe, CONTENT, ""), (probe, CONTENT, "")]),
    ]
    assert len(set(digests)) == len(digests)
    assert digests[0] == content_digest("ann", None, [(probe, CONTENT, "")])
