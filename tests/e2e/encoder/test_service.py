"""The encoder's behaviour for callers and operators."""

import asyncio
import hashlib
import io
import subprocess
import sys
import urllib.request
from collections.abc import Awaitable, Callable
from pathlib import Path

import grpc
import grpc.aio
import numpy as np
import pytest
from google.protobuf import message
from grpc_health.v1 import health_pb2, health_pb2_grpc
from PIL import Image

import facerec
import facerec.encoder.v1 as pb
from encoder_service.embedding.dlib_weights import cache, files, graph, resnet
from facerec.client import AsyncEncoderClient
from facerec.client.failures import from_rpc_error
from facerec.errors import FacerecError, Reason
from matcher_service.domain import ids
from tests.e2e.encoder.wire import CHANNEL_OPTIONS, EncoderStub
from tests.fixtures import structures
from tests.fixtures.encoder import EncoderProcess
from tests.fixtures.waiting import LIMIT_SECONDS, until

NAME = "facerec.encoder.v1.EncoderService"
ADMIN = ("--admin-address", "127.0.0.1:0")


def png(image: Image.Image) -> bytes:
    with io.BytesIO() as out:
        image.save(out, "PNG")
        return out.getvalue()


def collage(photo: Path, places: list[tuple[int, int]], side: int) -> bytes:
    """A canvas with a face photo at each place."""
    face = Image.open(photo).convert("RGB").crop((250, 50, 750, 550)).resize((side, side))
    canvas = Image.new("RGB", (2 * side, 2 * side), (120, 120, 120))
    for place in places:
        canvas.paste(face, place)
    return png(canvas)


async def refusal(call: Awaitable[message.Message]) -> FacerecError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return from_rpc_error(caught.value, "the encoder")


async def health(channel: grpc.aio.Channel, service: str = NAME) -> int:
    stub = health_pb2_grpc.HealthStub(channel)
    answer = await stub.Check(health_pb2.HealthCheckRequest(service=service))  # type: ignore[attr-defined]
    return int(answer.status)


async def working(server: EncoderProcess, calls: int) -> None:
    """Wait until a server with ADMIN has so many calls under way."""
    url = f"http://{server.event('listening')['admin']}/metrics"

    def in_flight() -> float:
        with urllib.request.urlopen(url, timeout=LIMIT_SECONDS) as answer:
            lines = answer.read().decode().splitlines()
        (value,) = [line.split()[1] for line in lines if line.startswith("grpc_server_in_flight ")]
        return float(value)

    async def reached() -> bool:
        return await asyncio.to_thread(in_flight) == calls

    await until(reached)


def teal(side: int) -> pb.EncodeRequest:
    """An image that takes long, as all of its pixels are looked at."""
    image = png(Image.new("RGB", (side, side), "teal"))
    return pb.EncodeRequest(image=image, options=pb.EncodeOptions(full_resolution=True))


async def test_an_image_without_a_face_is_answered_with_none(encoder: EncoderStub) -> None:
    answer = await encoder.Encode(pb.EncodeRequest(image=png(Image.new("RGB", (200, 100), "teal"))))
    assert (list(answer.faces), answer.image_width, answer.image_height) == ([], 200, 100)


async def test_faces_are_ordered_limited_and_filtered_by_size(
    encoder: EncoderStub, sample_photos: Path
) -> None:
    large = Image.open(io.BytesIO(collage(sample_photos / "obama.jpg", [(0, 0)], 300)))
    small = (
        Image.open(sample_photos / "biden.jpg").convert("RGB").crop((300, 100, 900, 700)).resize((180, 180))
    )
    large.paste(small, (320, 320))
    image = png(large)

    async def areas(max_faces: int = 0, min_face_pixels: int = 0) -> list[int]:
        options = pb.EncodeOptions(max_faces=max_faces, min_face_pixels=min_face_pixels)
        request = pb.DetectFacesRequest(image=image, options=options)
        boxes = [face.bounding_box for face in (await encoder.DetectFaces(request)).faces]
        return [(box.right - box.left + 1) * (box.bottom - box.top + 1) for box in boxes]

    both = await areas()
    assert len(both) == 2 and both[0] > both[1]
    assert await areas(max_faces=1) == both[:1]
    assert await areas(min_face_pixels=int(both[0] ** 0.5)) == both[:1]
    assert await areas(min_face_pixels=int(both[0] ** 0.5) + 1) == []


async def test_a_photo_on_its_side_is_set_upright(encoder: EncoderStub, sample_photos: Path) -> None:
    upright = Image.open(sample_photos / "obama.jpg").convert("RGB").crop((200, 0, 800, 600))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be seen, turn it clockwise by a quarter
    with io.BytesIO() as out:
        upright.transpose(Image.Transpose.ROTATE_90).save(out, "PNG", exif=exif)
        turned = out.getvalue()
    expected = await encoder.Encode(pb.EncodeRequest(image=png(upright)))
    assert len(expected.faces) == 1
    assert await encoder.Encode(pb.EncodeRequest(image=turned)) == expected


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: b"", Reason.IMAGE_INVALID),
        (lambda: b"no image", Reason.IMAGE_INVALID),
        (lambda: b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", Reason.IMAGE_UNSUPPORTED),
        (lambda: png(Image.new("1", (64, 64))), Reason.IMAGE_UNSUPPORTED),
        (lambda: png(Image.new("RGB", (9000, 9000))), Reason.IMAGE_TOO_LARGE),
        (lambda: structures.png(2, 70_000), Reason.IMAGE_TOO_LARGE),
        (lambda: structures.tiff_tiles(64, 64, 4096, 4096), Reason.IMAGE_TOO_LARGE),
        (lambda: structures.jpeg_empty_segments(4_000_000), Reason.IMAGE_INVALID),
        (lambda: structures.jpeg_scans_of_no_bytes(7990, 32), Reason.IMAGE_INVALID),
        (lambda: bytes(16 * 1024 * 1024 + 1), Reason.IMAGE_TOO_LARGE),
    ],
    ids=[
        "empty",
        "text",
        "HEIC",
        "1-bit",
        "too many pixels",
        "too long a side",
        "too large a tile",
        "too many segments",
        "too many scans",
        "too many bytes",
    ],
)
async def test_a_bad_image_is_refused_by_its_reason(
    encoder: EncoderStub, make: Callable[[], bytes], reason: Reason
) -> None:
    image = make()
    for call in (
        encoder.Encode(pb.EncodeRequest(image=image)),
        encoder.DetectFaces(pb.DetectFacesRequest(image=image)),
    ):
        error = await refusal(call)
        assert (error.reason, error.field) == (reason, "image")


def request_with(**fields: object) -> pb.EncodeRequest:
    return pb.EncodeRequest(image=png(Image.new("RGB", (64, 64))), **fields)  # type: ignore[arg-type]


def box(top: int, right: int, bottom: int, left: int) -> pb.BoundingBox:
    return pb.BoundingBox(top=top, right=right, bottom=bottom, left=left)


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (request_with(options=pb.EncodeOptions(max_faces=1001)), "options.max_faces"),
        (request_with(options=pb.EncodeOptions(upsample=3)), "options.upsample"),
        (request_with(options=pb.EncodeOptions(min_face_pixels=65536)), "options.min_face_pixels"),
        (request_with(options=pb.EncodeOptions(detector=9)), "options.detector"),  # type: ignore[arg-type]
        (request_with(options=pb.EncodeOptions(alignment=9)), "options.alignment"),  # type: ignore[arg-type]
        (
            request_with(face_boxes=[box(0, 9, 9, 0)], options=pb.EncodeOptions(detector=pb.DETECTOR_HOG)),
            "options.detector",
        ),
        (request_with(face_boxes=[box(0, 9, 9, 0)] * 1001), "face_boxes"),
        (request_with(face_boxes=[box(0, 9, 9, 0), box(0, 5, 9, 5)]), "face_boxes[1].right"),
        (request_with(face_boxes=[box(9, 9, 9, 0)]), "face_boxes[0].bottom"),
        (request_with(face_boxes=[box(-65537, 9, 9, 0)]), "face_boxes[0].top"),
        (request_with(face_boxes=[box(0, 131072, 9, 0)]), "face_boxes[0].right"),
        (request_with(face_boxes=[box(0, 9, 9, 0), box(0, 99, 9, 64)]), "face_boxes[1]"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_an_option_out_of_range_or_not_offered_is_refused_by_its_field(
    encoder: EncoderStub, request_: pb.EncodeRequest, field: str
) -> None:
    error = await refusal(encoder.Encode(request_))
    assert (error.reason, error.field) == (Reason.OPTION_INVALID, field)


async def test_a_large_image_is_not_upsampled_beyond_what_memory_is_meant_for(encoder: EncoderStub) -> None:
    large = png(Image.new("RGB", (1800, 1800)))  # 52 million pixels when doubled twice
    options = pb.EncodeOptions(upsample=2, full_resolution=True)
    error = await refusal(encoder.Encode(pb.EncodeRequest(image=large, options=options)))
    assert (error.reason, error.field) == (Reason.OPTION_INVALID, "options.upsample")
    assert "1800 x 1800" in error.message and "at most 50000000: lower upsample" in error.message


async def test_options_at_their_defaults_change_nothing(encoder: EncoderStub, sample_photos: Path) -> None:
    image = collage(sample_photos / "obama.jpg", [(0, 0)], 250)
    options = pb.EncodeOptions(
        detector=pb.DETECTOR_HOG,
        upsample=1,
        max_faces=0,
        full_resolution=False,
        alignment=pb.ALIGNMENT_SMALL,
    )
    plain = await encoder.Encode(pb.EncodeRequest(image=image))
    assert len(plain.faces) == 1
    assert await encoder.Encode(pb.EncodeRequest(image=image, options=options)) == plain


async def test_the_model_says_what_it_computes_and_accepts(encoder: EncoderStub) -> None:
    model = await encoder.GetModel(pb.GetModelRequest())
    assert model.name == "dlib-resnet-v1"
    assert model.space == "dlib-resnet-v1/small/150x0.25"
    assert (list(model.spaces), list(model.alignments)) == ([model.space], [pb.ALIGNMENT_SMALL])
    assert model.dimensions == 128
    assert list(model.detectors) == [pb.DETECTOR_HOG, pb.DETECTOR_CNN]
    assert (model.full_resolution, model.copy_side_pixels, model.second_copy_side_pixels) == (
        False,
        640,
        1280,
    )
    assert model.execution_provider == "CPUExecutionProvider"
    assert model.limits.max_image_bytes == 16 * 1024 * 1024 and model.limits.max_pixels == 64_000_000
    assert ids.fingerprint(model.fingerprint, "") == model.fingerprint != ""


async def test_calls_side_by_side_each_get_their_own_faces(encoder: EncoderStub, sample_photos: Path) -> None:
    layouts = [[(0, 0)], [(200, 0)], [(0, 200)], [(200, 200)], [(0, 0), (200, 200)]]
    images = [collage(sample_photos / "obama.jpg", layout, 200) for layout in layouts]
    alone = [await encoder.Encode(pb.EncodeRequest(image=image)) for image in images]
    assert [len(answer.faces) for answer in alone] == [len(layout) for layout in layouts]
    order = list(np.random.default_rng(7).permutation(np.arange(40) % len(images)))
    together = await asyncio.gather(*(encoder.Encode(pb.EncodeRequest(image=images[i])) for i in order))
    for index, answer in zip(order, together, strict=True):
        expected = alone[index]
        assert [face.bounding_box for face in answer.faces] == [face.bounding_box for face in expected.faces]
        for face, reference in zip(answer.faces, expected.faces, strict=True):
            apart = np.subtract(face.encoding.values, reference.encoding.values)
            assert np.linalg.norm(apart) <= 1e-5


async def test_beyond_its_limit_the_server_refuses_at_once_and_goes_on(model_cache: Path) -> None:
    server = EncoderProcess("--max-images", "2", "--threads", "1", *ADMIN, cache=model_cache)
    try:
        server.event("serving")
        async with grpc.aio.insecure_channel(server.address, CHANNEL_OPTIONS) as channel:
            encoder = pb.EncoderServiceStub(channel)
            slow = teal(1600)
            calls = [asyncio.ensure_future(encoder.Encode(slow)) for _ in range(3)]
            (ended,), admitted = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
            error = await refusal(ended)  # while the others are at work: it waited for none of them
            assert error.reason == Reason.OVERLOADED and (error.retry_after_seconds or 0) > 0
            assert [list((await call).faces) for call in admitted] == [[], []]
            assert list((await encoder.Encode(slow)).faces) == []
            # Callers that went away leave their places to others.
            gone = [encoder.Encode(slow) for _ in range(2)]
            await working(server, 2)
            status = await encoder.GetStatus(pb.GetStatusRequest())
            assert (status.serving, status.calls_in_flight) == (True, 3)
            assert (status.images_in_flight, status.max_images) == (2, 2)
            for call in gone:
                call.cancel()
            await working(server, 0)
            assert list((await encoder.Encode(slow)).faces) == []
    finally:
        assert server.stop() == 0


async def test_a_started_server_is_not_serving_until_its_models_are_loaded(tmp_path: Path) -> None:
    server = EncoderProcess(cache=tmp_path)
    try:
        async with grpc.aio.insecure_channel(server.address) as channel:
            assert [await health(channel), await health(channel, "")] == [2, 2]  # NOT_SERVING
            error = await refusal(pb.EncoderServiceStub(channel).GetModel(pb.GetModelRequest()))
            assert error.reason == Reason.MODEL_UNAVAILABLE
            async with AsyncEncoderClient(server.address) as client:  # calls only replicas that are SERVING
                loading = await client.get_status()
                assert (loading.serving, loading.problem) == (False, "the models are still loading")
                assert (await client.get_caller()).keys_required is False
                await asyncio.to_thread(server.event, "serving")
                assert [await health(channel), await health(channel, "")] == [1, 1]  # SERVING
                ready = await client.get_status()
            assert (ready.serving, ready.problem, ready.server_version) == (True, "", facerec.__version__)
            assert ready.uptime > loading.uptime
    finally:
        assert server.stop() == 0


async def test_sigterm_finishes_what_is_under_way(model_cache: Path) -> None:
    grace = ("--grace-seconds", str(LIMIT_SECONDS))
    server = EncoderProcess("--threads", "1", *grace, *ADMIN, cache=model_cache)
    server.event("serving")
    async with grpc.aio.insecure_channel(server.address, CHANNEL_OPTIONS) as channel:
        call = asyncio.ensure_future(pb.EncoderServiceStub(channel).Encode(teal(1600)))
        await working(server, 1)
        stopped = asyncio.create_task(asyncio.to_thread(server.stop))
        assert list((await call).faces) == []
        assert await stopped == 0


async def test_sigterm_waits_for_no_image_beyond_the_grace(model_cache: Path) -> None:
    flags = ("--threads", "1", "--grace-seconds", "1", "--max-hog-pixels", "256000000")
    server = EncoderProcess(*flags, *ADMIN, cache=model_cache)
    server.event("serving")
    async with grpc.aio.insecure_channel(server.address, CHANNEL_OPTIONS) as channel:
        slow = teal(7000)
        calls = [asyncio.ensure_future(pb.EncoderServiceStub(channel).Encode(slow)) for _ in range(3)]
        await working(server, 3)
        assert await asyncio.to_thread(server.stop) == 0
        for call in calls:
            await refusal(call)
    # Whether work is left depends on where the image was just then: decoding ends, searching goes on.


async def test_a_network_that_drifted_keeps_the_server_from_serving(tmp_path: Path) -> None:
    weights = files.read(files.find().resnet)
    parsed = resnet.parse(weights.data)
    network = graph.write(resnet.ResNet(parsed.layers, average=(122.782, 117.001, 105.298), chip_pixels=150))
    cache.entry_path(tmp_path, weights).write_bytes(hashlib.sha256(network).digest() + network)
    server = EncoderProcess(cache=tmp_path)
    try:
        assert "golden chip" in server.event("self_test_failed")["error"]
        async with grpc.aio.insecure_channel(server.address) as channel:
            assert await health(channel) == 2  # NOT_SERVING
            error = await refusal(pb.EncoderServiceStub(channel).GetModel(pb.GetModelRequest()))
            assert error.reason == Reason.MODEL_UNAVAILABLE and "self-test" in error.message
    finally:
        assert server.stop() == 0


@pytest.mark.parametrize("missing", ["folder", "truncated"])
def test_without_weights_the_server_says_so_in_one_line(tmp_path: Path, missing: str) -> None:
    if missing == "truncated":
        for source in files.find().resnet.parent.glob("*.dat"):
            (tmp_path / source.name).symlink_to(source)
        resnet_path = tmp_path / files.find().resnet.name
        resnet_path.unlink()
        resnet_path.write_bytes(files.find().resnet.read_bytes()[:-1])
    command = [sys.executable, "-m", "encoder_service", "serve", "--address", "127.0.0.1:0"]
    folders = ["--weights-dir", str(tmp_path), "--model-cache-dir", str(tmp_path / "cache")]
    done = subprocess.run(
        [*command, *folders], capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False
    )
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("error: ")
    assert "Traceback" not in done.stderr
