"""What a caller may pass to a client, and the error that names what it may not."""

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from facerec.client import AsyncEncoderClient, EncoderClient, Encoding, MatcherClient
from facerec.errors import FacerecError, Reason
from tests.unit.client.flaky import serving

VECTOR = np.zeros(128, np.float32)
NOBODY = "127.0.0.1:1"


@pytest.mark.parametrize(
    "address",
    [
        "faces.internal",
        "localhost",
        "127.0.0.1",
        "::1",
        "[::1]",
        "faces.internal:",
        "faces.internal:grpc",
        "faces.internal:0",
        "faces.internal:65536",
        ":50052",
        "",
        "dns:///faces.internal",
        "dns://10.0.0.53/faces.internal",
        "ipv4:10.0.0.1:50052,10.0.0.2",
        "http://faces.internal:50052",
        "https://faces.internal:50052",
        "grpc://faces.internal:50052",
    ],
)
@pytest.mark.parametrize("client", [EncoderClient, AsyncEncoderClient])
def test_an_address_without_a_port_or_with_http_is_refused_by_its_name(client: Any, address: str) -> None:
    with pytest.raises(FacerecError) as caught:
        client(address)
    assert (caught.value.reason, caught.value.field) == (Reason.OPTION_INVALID, "address")
    assert repr(address) in caught.value.message


@pytest.mark.parametrize(
    "address",
    [
        "faces.internal:50052",
        "[::1]:50052",
        "dns:///faces.internal:50052",
        "dns:faces.internal:50052",
        "dns://10.0.0.53/faces.internal:50052",
        "ipv4:10.0.0.1:50052,10.0.0.2:50052",
        "ipv6:[::1]:50052",
        "unix:/run/facerec.sock",
        "unix-abstract:facerec",
        "xds:///faces",
    ],
)
def test_an_address_with_a_port_or_of_another_scheme_is_accepted(address: str) -> None:
    EncoderClient(address).close()


@pytest.mark.parametrize(
    ("probe", "reason", "field", "hint"),
    [
        (Path("ann.jpg"), Reason.IMAGE_INVALID, "probe.image", "read_bytes"),
        ("ann.jpg", Reason.ID_INVALID, "probe.face_id", "for an image pass its bytes"),
        (VECTOR, Reason.ENCODING_INVALID, "probe.encoding.space", "Encoding(vector, space)"),
        (np.zeros((8, 8, 3), np.uint8), Reason.IMAGE_INVALID, "probe.image", "JPEG or PNG"),
        (Encoding(VECTOR[:64], "a"), Reason.ENCODING_INVALID, "probe.encoding.values", "(128,)"),
        (Encoding(VECTOR[None], "a"), Reason.ENCODING_INVALID, "probe.encoding.values", "(128,)"),
        (None, Reason.IMAGE_INVALID, "probe.image", "NoneType"),
    ],
    ids=["path", "text", "vector", "pixels", "short", "row", "none"],
)
def test_a_probe_of_another_kind_is_refused_by_its_field(
    probe: Any, reason: Reason, field: str, hint: str
) -> None:
    with MatcherClient(NOBODY) as client, pytest.raises(FacerecError) as caught:
        client.verify("ann", probe)
    assert (caught.value.reason, caught.value.field) == (reason, field)
    assert hint in caught.value.message


def test_each_method_names_the_path_of_the_invalid_probe() -> None:
    wrong: Any = VECTOR
    with MatcherClient(NOBODY) as client:
        for call, field in (
            (lambda: client.enroll("ann", b"image", wrong), "items[1].probe"),
            (lambda: client.identify(b"image", wrong), "probes[1]"),
            (lambda: client.compare(wrong, b"image"), "probe_a"),
            (lambda: client.compare(b"image", wrong), "probe_b"),
        ):
            with pytest.raises(FacerecError) as caught:
                call()
            assert caught.value.field == f"{field}.encoding.space"


@pytest.mark.parametrize("seconds", [float("nan"), float("inf"), 1e300, "60"])
def test_a_staleness_that_is_no_number_of_seconds_is_refused(seconds: Any) -> None:
    with MatcherClient(NOBODY) as client, pytest.raises(FacerecError) as caught:
        client.identify(b"image", max_staleness_seconds=seconds)
    refusal = caught.value
    assert (refusal.reason, refusal.field) == (Reason.OPTION_INVALID, "consistency.max_staleness")
    assert repr(seconds) in refusal.message


async def test_bytes_in_any_form_are_an_image_and_a_path_is_refused() -> None:
    async with serving() as server, AsyncEncoderClient(server.address) as client:
        for image in (b"image", bytearray(b"image"), memoryview(b"image")):
            assert (await client.encode(image)).image_width == 5  # type: ignore[arg-type]
        with pytest.raises(FacerecError, match="read_bytes") as caught:
            await client.encode(Path("ann.jpg"))  # type: ignore[arg-type]
    assert (caught.value.reason, caught.value.field) == (Reason.IMAGE_INVALID, "image")


async def test_a_client_made_without_an_event_loop_belongs_to_that_of_its_first_call() -> None:
    async def fails(client: AsyncEncoderClient) -> FacerecError:
        with pytest.raises(FacerecError) as caught:
            await client.encode(b"image")
        return caught.value

    async with serving() as server:
        client = await asyncio.to_thread(AsyncEncoderClient, server.address)
        async with client:
            assert (await client.encode(b"image")).image_width == 5
            elsewhere = await asyncio.to_thread(asyncio.run, fails(client))
            assert "another event loop" in elsewhere.message
            assert (await client.with_options(timeout_seconds=20).encode(b"image")).image_width == 5


def test_arguments_of_other_types_are_refused_by_their_names() -> None:
    with EncoderClient(NOBODY) as encoder, MatcherClient(NOBODY) as matcher:
        probe = Encoding(VECTOR, "a/b/c")
        refused: list[tuple[Any, str]] = [
            (lambda: matcher.verify(42, probe), "person_id is of type int"),  # type: ignore[arg-type]
            (lambda: list(matcher.list_persons(prefix=7)), "prefix is of type int"),  # type: ignore[arg-type]
            (lambda: matcher.enroll("ann", probe, expire_time="2030-01-01"), "expire_time is of type str"),  # type: ignore[arg-type]
            (lambda: matcher.update_face("f"), "nothing to change"),
            (lambda: encoder.encode(b"x", num_jitters=3), "num_jitters"),  # type: ignore[call-arg]
            (lambda: encoder.encode(b"x", detector="foo"), "FOO"),  # type: ignore[arg-type]
            (lambda: encoder.encode(b"x", max_faces=-1), "-1"),
            (lambda: encoder.encode(b"x", face_boxes=[(1, 2, 3, 4)]), "to_message"),  # type: ignore[list-item]
            (lambda: encoder.with_options(timeout_seconds=-1), "timeout_seconds"),
            (lambda: encoder.with_options(request_id="bad id!"), "request_id"),
            (lambda: EncoderClient(NOBODY, timeout_seconds=None), "timeout_seconds"),  # type: ignore[arg-type]
        ]
        for call, words in refused:
            with pytest.raises(FacerecError, match=words) as caught:
                call()
            assert caught.value.reason is Reason.OPTION_INVALID
        with pytest.raises(TypeError, match="person"):
            matcher.verify(person="ann", probe=probe)  # type: ignore[call-arg]
