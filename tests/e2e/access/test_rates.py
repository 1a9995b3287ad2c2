"""Rates count probes: those that a call brings, and the faces found in its pictures."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from facerec.errors import Reason
from facerec.matcher.v1 import matcher_pb2 as pb
from tests.e2e.access.conftest import bearer, entry
from tests.e2e.matcher.requests import encoding, enroll, refused, vectors
from tests.fixtures.matcher import RunningMatcher, StartMatcher

WriteKeys = Callable[..., Path]
FACE = encoding(vectors(1)[0])
# Nothing is regained while a test runs.
SOME = "encodings = true\nscores = true\nprobes_per_second = 0.001\nburst = "


def claim() -> pb.VerifyRequest:
    return pb.VerifyRequest(person_id="ann", probe=FACE)


def search(probes: int) -> pb.IdentifyRequest:
    return pb.IdentifyRequest(probes=[FACE] * probes)


@pytest.fixture
async def matcher(start_matcher: StartMatcher, database_url: str, keys_file: WriteKeys) -> RunningMatcher:
    """Keys: `a` admin; `k` with 20 probes at once."""
    path = keys_file(
        entry("admin", "a", ["admin"]),
        entry("limited", "k", ["verify", "identify", "enroll"], SOME + "20"),
        entry("narrow", "n", ["identify"], SOME + "3"),
    )
    running = await start_matcher(database_url, keys_file=path)
    await running.stub.Enroll(enroll("ann", FACE), metadata=bearer("a"))
    return running


async def test_a_person_counts_as_many_probes_as_they_have_faces(matcher: RunningMatcher) -> None:
    await matcher.stub.Enroll(enroll("ann", *map(encoding, vectors(5, seed=5))), metadata=bearer("a"))
    request = pb.IdentifyRequest(probes=[pb.Probe(person_id="ann")])  # six faces
    await matcher.stub.Identify(request, metadata=bearer("n"))  # costlier than the burst: it passes once
    with refused(Reason.RATE_LIMITED):
        await matcher.stub.Identify(search(1), metadata=bearer("n"))
    for _ in range(3):
        await matcher.stub.Identify(request, metadata=bearer("k"))
    with refused(Reason.RATE_LIMITED):
        await matcher.stub.Identify(request, metadata=bearer("k"))


@pytest.mark.parametrize(
    ("method", "request_", "calls"),
    [
        ("Verify", claim(), 20),
        ("Verify", pb.VerifyRequest(person_id=claim().person_id, probes=[FACE] * 5), 4),
        ("Compare", pb.CompareRequest(probe_a=FACE, probe_b=FACE), 10),
        ("Identify", search(10), 2),
        ("Enroll", enroll("ben", *[FACE] * 5), 4),
    ],
)
async def test_a_call_counts_as_many_probes_as_it_brings(
    matcher: RunningMatcher, method: str, request_: Any, calls: int
) -> None:
    call = getattr(matcher.stub, method)
    for _ in range(calls):
        await call(request_, metadata=bearer("k"))
    with refused(Reason.RATE_LIMITED):
        await call(request_, metadata=bearer("k"))
    await call(request_, metadata=bearer("a"))


async def test_a_call_costlier_than_the_burst_passes_once_and_later_calls_wait(
    matcher: RunningMatcher,
) -> None:
    assert len((await matcher.stub.Identify(search(16), metadata=bearer("n"))).faces) == 16
    with refused(Reason.RATE_LIMITED):
        await matcher.stub.Identify(search(1), metadata=bearer("n"))


async def test_a_call_is_refused_if_it_brings_more_probes_than_are_left(matcher: RunningMatcher) -> None:
    await matcher.stub.Verify(claim(), metadata=bearer("k"))
    await matcher.stub.Identify(search(16), metadata=bearer("k"))
    with refused(Reason.RATE_LIMITED):  # three are left
        await matcher.stub.Identify(search(4), metadata=bearer("k"))


def side_by_side(*paths: Path) -> bytes:
    """One picture of several."""
    pictures = [Image.open(path).convert("RGB") for path in paths]
    joined = Image.new("RGB", (sum(each.width for each in pictures), max(each.height for each in pictures)))
    left = 0
    for each in pictures:
        joined.paste(each, (left, 0))
        left += each.width
    out = io.BytesIO()
    joined.save(out, "PNG")
    return out.getvalue()


async def test_each_face_found_in_a_picture_counts(
    start_matcher: StartMatcher,
    database_url: str,
    keys_file: WriteKeys,
    encoder_address: str,
    sample_photos: Path,
) -> None:
    path = keys_file(entry("crowd", "k", ["identify"], "probes_per_second = 0.001\nburst = 3"))
    matcher = await start_matcher(database_url, keys_file=path, encoder_address=encoder_address)
    image = side_by_side(sample_photos / "obama2.jpg", sample_photos / "biden.jpg")
    request = pb.IdentifyRequest(probes=[pb.Probe(image=image)], all_faces=True)
    assert len((await matcher.stub.Identify(request, metadata=bearer("k"))).faces) == 2
    with refused(Reason.RATE_LIMITED):  # one is left
        await matcher.stub.Identify(request, metadata=bearer("k"))
