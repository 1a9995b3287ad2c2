"""EncodeStream: many images over one call, each with its own id and its own outcome."""

import asyncio
import io
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import grpc.aio
import numpy as np
import psutil
import pytest
from PIL import Image

import facerec.encoder.v1 as pb
from facerec.client import AsyncEncoderClient, EncodedImage, EncoderClient
from facerec.errors import FacerecError, Reason
from tests.e2e.encoder.wire import EncoderStub
from tests.fixtures.encoder import EncoderProcess
from tests.fixtures.waiting import until


@pytest.fixture(scope="module")
def face(sample_photos: Path) -> bytes:
    picture = Image.open(sample_photos / "obama.jpg").convert("RGB").crop((250, 50, 750, 550))
    with io.BytesIO() as out:
        picture.resize((200, 200)).save(out, "PNG")
        return out.getvalue()


async def test_each_item_has_the_same_answer_as_alone(encoder_address: str, face: bytes) -> None:
    blank = Image.new("RGB", (90, 60))
    with io.BytesIO() as out:
        blank.save(out, "PNG")
        none = out.getvalue()

    async def images() -> AsyncIterator[tuple[str, bytes]]:
        for number in range(30):
            yield f"face-{number}", face
            yield f"none-{number}", none
            yield f"bad-{number}", b"no image"

    async with AsyncEncoderClient(encoder_address) as client:
        alone = (await client.encode(face)).faces[0].encoding.values
        outcomes = {item_id: outcome async for item_id, outcome in client.encode_stream(images())}
    assert len(outcomes) == 90
    for item_id, outcome in outcomes.items():
        if item_id.startswith("bad"):
            assert isinstance(outcome, FacerecError)
            assert (outcome.reason, outcome.field) == (Reason.IMAGE_INVALID, "image")
            continue
        assert isinstance(outcome, EncodedImage)
        assert len(outcome.faces) == item_id.startswith("face")
        assert all(np.abs(each.encoding.values - alone).max() <= 1e-5 for each in outcome.faces)


async def test_the_blocking_client_streams_too(encoder_address: str, face: bytes) -> None:
    def images() -> Iterator[tuple[str, bytes]]:
        yield from ((str(number), face) for number in range(5))

    with EncoderClient(encoder_address) as client:
        outcomes = await asyncio.to_thread(lambda: dict(client.encode_stream(images(), max_faces=1)))
    assert sorted(outcomes) == ["0", "1", "2", "3", "4"]
    assert all(isinstance(outcome, EncodedImage) for outcome in outcomes.values())


@pytest.mark.parametrize(
    ("item", "reason", "field"),
    [
        (pb.EncodeStreamRequest(request=pb.EncodeRequest(image=b"x")), Reason.ID_INVALID, "item_id"),
        (
            pb.EncodeStreamRequest(item_id="x" * 129, request=pb.EncodeRequest(image=b"x")),
            Reason.ID_INVALID,
            "item_id",
        ),
        (pb.EncodeStreamRequest(item_id="x" * 128), Reason.IMAGE_INVALID, "image"),
        (
            pb.EncodeStreamRequest(
                item_id="x", request=pb.EncodeRequest(options=pb.EncodeOptions(max_faces=1001))
            ),
            Reason.OPTION_INVALID,
            "options.max_faces",
        ),
    ],
)
async def test_an_items_error_is_its_answer_and_the_stream_continues(
    encoder: EncoderStub, face: bytes, item: pb.EncodeStreamRequest, reason: Reason, field: str
) -> None:
    good = pb.EncodeStreamRequest(item_id="good", request=pb.EncodeRequest(image=face))
    answers = {each.item_id: each async for each in encoder.EncodeStream(iter([item, good]))}
    error = answers[item.item_id].error
    assert (error.code, error.reason, error.field) == (3, reason, field)
    assert len(answers["good"].response.faces) == 1


# By itself gRPC's client reads ahead by megabytes, which are many of these small answers.
LITTLE_READ_AHEAD = [("grpc.http2.lookahead_bytes", 65_536), ("grpc.http2.bdp_probe", 0)]


@pytest.fixture
async def encoder_of_a_slow_reader(encoder_address: str) -> AsyncIterator[EncoderStub]:
    async with grpc.aio.insecure_channel(encoder_address, LITTLE_READ_AHEAD) as channel:
        yield pb.EncoderServiceStub(channel)


async def test_a_reader_that_stops_reading_stops_the_work(
    encoder: EncoderStub, encoder_of_a_slow_reader: EncoderStub, encoder_server: EncoderProcess
) -> None:
    refused = pb.EncodeRequest(options=pb.EncodeOptions(max_faces=1001))
    item = pb.EncodeStreamRequest(item_id="x" * 128, request=refused)  # small to send, an answer of 250 bytes
    process = psutil.Process(encoder_server.process.pid)
    call = encoder_of_a_slow_reader.EncodeStream()
    sent = 0

    async def flood() -> None:
        nonlocal sent
        while True:
            await call.write(item)
            sent += 1

    async def stalled() -> bool:
        """Whether the client sends nothing more while the server answers other calls."""
        before = sent
        for _ in range(200):
            await encoder.GetModel(pb.GetModelRequest())
        return sent == before > 0

    flooding = asyncio.create_task(flood())
    await until(stalled)
    stalled_at = sent
    print("STALLED", sent)
    worked = sum(process.cpu_times()[:2])
    await asyncio.sleep(1)
    assert sum(process.cpu_times()[:2]) - worked < 0.2
    assert sent == stalled_at
    for _ in range(stalled_at):  # read again, and the work goes on
        answer = await call.read()
        assert isinstance(answer, pb.EncodeStreamResponse)
        assert answer.error.reason == Reason.OPTION_INVALID
    assert sent > stalled_at
    flooding.cancel()
    call.cancel()
