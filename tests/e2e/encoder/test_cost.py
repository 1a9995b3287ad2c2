"""Images are charged by their cost, and one caller's images leave room for others."""

import asyncio
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
from PIL import Image

import facerec.encoder.v1 as pb
from facerec.client.failures import from_rpc_error
from facerec.errors import Reason
from tests.e2e.access.conftest import bearer, entry
from tests.e2e.encoder.wire import CHANNEL_OPTIONS
from tests.fixtures.encoder import EncoderProcess

# So many at once, and hardly any later: no test waits for more.
BURSTS = {"seven": 7, "fourteen": 14, "detector": 7, "photos": 3, "other": 3}
FULL = pb.EncodeOptions(full_resolution=True, detector=pb.DETECTOR_HOG)


def png(side: int) -> bytes:
    with io.BytesIO() as out:
        Image.new("RGB", (side, side), "teal").save(out, "PNG")
        return out.getvalue()


SMALL, LARGE = png(200), png(1700)  # one probe, and with FULL 6.3
LONG = png(900)  # with FULL it takes long enough for all of a flood to arrive


@pytest.fixture(scope="module")
def server(model_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    keys = tmp_path_factory.mktemp("keys") / "keys.toml"
    rates = "probes_per_second = 0.001\nburst = {}"
    entries = [entry(name, name, ["encode"], rates.format(burst)) for name, burst in BURSTS.items()]
    keys.write_text("\n".join([*entries, entry("free", "free", ["encode"])]))
    flags = ("--threads", "1", "--max-images", "8", "--keys-file", str(keys))
    process = EncoderProcess(*flags, cache=model_cache)
    try:
        process.event("serving")
        yield process
    finally:
        assert process.stop() == 0


@pytest.fixture
async def stub(server: EncoderProcess) -> AsyncIterator[Any]:
    async with grpc.aio.insecure_channel(server.address, CHANNEL_OPTIONS) as channel:
        yield pb.EncoderServiceStub(channel)


async def outcome(call: Any) -> str:
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return str(from_rpc_error(error, "the encoder").reason)
    return "OK"


async def test_a_dear_image_takes_more_of_a_rate_than_a_photo(stub: Any) -> None:
    def ask(image: bytes, options: pb.EncodeOptions | None = None) -> Any:
        return outcome(stub.Encode(pb.EncodeRequest(image=image, options=options), metadata=bearer("seven")))

    assert await ask(LARGE, FULL) == "OK"
    assert await ask(LARGE, FULL) == Reason.RATE_LIMITED
    assert await ask(SMALL) == Reason.RATE_LIMITED


async def test_photos_take_one_probe_each(stub: Any) -> None:
    call = pb.EncodeRequest(image=SMALL)
    outcomes = [await outcome(stub.Encode(call, metadata=bearer("photos"))) for _ in range(4)]
    assert outcomes == ["OK"] * 3 + [Reason.RATE_LIMITED]


async def test_finding_faces_alone_is_charged_likewise(stub: Any) -> None:
    call = pb.DetectFacesRequest(image=LARGE, options=FULL)
    outcomes = [await outcome(stub.DetectFaces(call, metadata=bearer("detector"))) for _ in range(2)]
    assert outcomes == ["OK", Reason.RATE_LIMITED]


async def test_an_image_of_a_stream_is_charged_and_waits_for_its_probes(stub: Any) -> None:
    request = pb.EncodeRequest(image=LARGE, options=FULL)
    call = stub.EncodeStream(metadata=bearer("fourteen"))
    for number in range(3):
        await call.write(pb.EncodeStreamRequest(item_id=str(number), request=request))
    answers = [await call.read() for _ in range(2)]
    assert [answer.HasField("response") for answer in answers] == [True, True]
    reading = asyncio.ensure_future(call.read())
    alone = pb.EncodeRequest(image=SMALL)
    assert await outcome(stub.Encode(alone, metadata=bearer("fourteen"))) == Reason.RATE_LIMITED
    assert not reading.done()
    call.cancel()
    await asyncio.gather(reading, return_exceptions=True)


async def test_a_callers_flood_leaves_room_for_another(server: EncoderProcess, stub: Any) -> None:
    async with grpc.aio.insecure_channel(server.address, [*CHANNEL_OPTIONS, ("grpc.n", 1)]) as channel:
        flood = pb.EncodeRequest(image=LONG, options=FULL)
        calls = [
            asyncio.ensure_future(outcome(stub.Encode(flood, metadata=bearer("free")))) for _ in range(40)
        ]
        refused, _ = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
        assert {call.result() for call in refused} == {Reason.OVERLOADED}
        other = pb.EncoderServiceStub(channel)
        assert await outcome(other.Encode(pb.EncodeRequest(image=SMALL), metadata=bearer("other"))) == "OK"
        outcomes = await asyncio.gather(*calls)
    assert outcomes.count("OK") >= 6 and outcomes.count(Reason.OVERLOADED) > 0
