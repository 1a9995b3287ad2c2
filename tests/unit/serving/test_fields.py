"""Fields are counted before a message is parsed, wherever they are."""

import pytest

from facerec.errors import FacerecError, Reason
from facerec.matcher.v1 import matcher_pb2, transfer_pb2
from facerec.serving.middleware.reading import fields

IDENTIFY = matcher_pb2.IdentifyRequest.DESCRIPTOR
IMPORT = transfer_pb2.ImportFacesRequest.DESCRIPTOR
LIMIT = fields.MAX_STREAM_COUNT
PROBE = b"\x12\x00"  # IdentifyRequest.probes, empty
UNKNOWN = b"\xf8\x01\x00"  # a number in a field that there is not
TIME = b"\x2a\x00"  # FaceChunk.expire_times, empty


def check(raw: bytes, descriptor: object, max_count: int) -> int:
    """Count to the end; returns the steps that it took."""
    return sum(1 for _ in fields.check(raw, descriptor, max_count))


def nested(part: bytes, count: int) -> bytes:
    """A chunk of an import with so many fields of one kind."""
    inner = part * count
    length, rest = b"", len(inner)
    while rest > 127:
        length += bytes([rest & 127 | 128])
        rest >>= 7
    return b"\x12" + length + bytes([rest]) + inner


@pytest.mark.parametrize(
    ("raw", "descriptor"),
    [
        (PROBE * (LIMIT + 1), IDENTIFY),
        (UNKNOWN * (LIMIT + 1), IDENTIFY),
        (nested(TIME, LIMIT + 1), IMPORT),
    ],
)
def test_too_many_fields_are_refused_wherever_they_are(raw: bytes, descriptor: object) -> None:
    with pytest.raises(FacerecError, match="fields") as caught:
        check(raw, descriptor, LIMIT)
    assert caught.value.reason is Reason.OPTION_INVALID


def test_the_largest_messages_of_the_contract_pass() -> None:
    rows = 10_000
    chunk = transfer_pb2.FaceChunk(
        encodings=bytes(512 * rows),
        person_ids=["p" * 30] * rows,
        display_names=["n" * 30] * rows,
        external_refs=["r"] * rows,
        fingerprints=["f" * 20] * rows,
    )
    for _ in range(rows):
        chunk.expire_times.add(seconds=2_000_000_000, nanos=1)
    check(transfer_pb2.ImportFacesRequest(chunk=chunk).SerializeToString(), IMPORT, LIMIT)
    photos = [matcher_pb2.Probe(image=PROBE * 500_000)] * 16
    check(matcher_pb2.IdentifyRequest(probes=photos).SerializeToString(), IDENTIFY, fields.MAX_COUNT)


def test_fields_count_by_the_bytes_of_their_tags_and_numbers() -> None:
    padded = b"\xf8\x83\x80\x80\x00" + b"\xff" * 9 + b"\x01"  # a tag of five bytes and a number of ten
    few = padded * (fields.MAX_COUNT // len(padded))
    check(few + PROBE, IDENTIFY, fields.MAX_COUNT)
    with pytest.raises(FacerecError, match="fields"):
        check(few + 10 * padded, IDENTIFY, fields.MAX_COUNT)


@pytest.mark.parametrize("raw", [b"\xff" * 300_000, b"\x07" * 300_000, b"\x12\xff\xff\xff\x7f" * 60_000])
def test_an_invalid_message_is_left_to_the_parser(raw: bytes) -> None:
    check(raw, IDENTIFY, LIMIT)
