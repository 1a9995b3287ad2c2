"""Small files that cost an encoder much, by themselves and while another caller sends photos."""

import asyncio
import contextlib
import functools
import io
import shutil
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Sequence
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import psutil
from PIL import Image

import facerec.encoder.v1 as pb
from facerec.client.failures import from_rpc_error
from facerec.errors import FacerecError
from tests.benchmarks.encoder import engine, pictures
from tests.benchmarks.encoder.memory import forget_peak, peak
from tests.e2e.access.conftest import bearer, entry
from tests.fixtures import structures
from tests.fixtures.encoder import EncoderProcess
from tests.soak.hostile import costly_structures
from tests.soak.hostile.report import CheckResult

MIB = 2**20
CHANNEL = [("grpc.max_send_message_length", -1)]
SECONDS_AT_A_LIMIT = 10.0  # of a core for one picture: docs/encoder.md, with room for other load
SECONDS_AFTER_CANCEL = 10.0  # of two threads, whose calls of HOG cannot be interrupted
BYTES_AT_THE_BOUND = 1600 * MIB
FULL = pb.EncodeOptions(detector=pb.DETECTOR_HOG, full_resolution=True, upsample=1)
QUIET_SECONDS = 120


class Victim:
    """An encoder of two threads, and stubs that call it with a key each."""

    def __init__(self, server: EncoderProcess, stubs: dict[str, Any]) -> None:
        self.process = psutil.Process(server.process.pid)
        self.stubs = stubs

    def cpu_seconds(self) -> float:
        """The CPU time that it used so far."""
        times = self.process.cpu_times()
        return float(times.user + times.system)

    def encode(self, key: str, image: bytes, **fields: Any) -> Awaitable[pb.EncodeResponse]:
        """Call Encode with a key."""
        request = pb.EncodeRequest(image=image, **fields)
        answer: Awaitable[pb.EncodeResponse] = self.stubs[key].Encode(request, metadata=bearer(key))
        return answer

    async def quiet(self) -> None:
        """Return when it uses no more CPU time."""
        end = time.monotonic() + QUIET_SECONDS
        before = self.cpu_seconds()
        while time.monotonic() < end:
            await asyncio.sleep(1)
            now = self.cpu_seconds()
            if now - before < 0.05:
                return
            before = now


@functools.cache
def blank(width: int, height: int) -> bytes:
    """A grey PNG, which takes next to no bytes."""
    with io.BytesIO() as out:
        Image.new("L", (width, height), 120).save(out, "PNG")
        return out.getvalue()


@functools.cache
def refused() -> dict[str, tuple[bytes, dict[str, Any], str]]:
    """What is beyond a limit, by its name: the image, the fields beside it, and the field that is refused."""
    whole = pb.BoundingBox(top=0, left=0, bottom=7_989, right=7_989)
    return {
        "3,990 x 3,990, doubled twice, HOG": (
            blank(3990, 3990),
            {"options": pb.EncodeOptions(detector=pb.DETECTOR_HOG, upsample=2, full_resolution=True)},
            "options.upsample",
        ),
        "7,990 x 7,990, not doubled, HOG": (
            blank(7990, 7990),
            {"options": pb.EncodeOptions(detector=pb.DETECTOR_HOG, upsample=0, full_resolution=True)},
            "options.full_resolution",
        ),
        "3,990 x 3,990, min_face_pixels 1": (
            blank(3990, 3990),
            {"options": pb.EncodeOptions(detector=pb.DETECTOR_HOG, min_face_pixels=1)},
            "options.min_face_pixels",
        ),
        "65,535 x 900, CNN": (
            blank(65_535, 900),
            {"options": pb.EncodeOptions(detector=pb.DETECTOR_CNN, upsample=0, full_resolution=True)},
            "options.full_resolution",
        ),
        "1,000 boxes that each hold 64 megapixels": (
            blank(7990, 7990),
            {"face_boxes": [whole] * 1000},
            "face_boxes",
        ),
        "a JPEG of 64 megapixels in 98 scans": (structures.jpeg_scans(7990, 98), {}, "image"),
    }


@functools.cache
def at_the_limits(*, short: bool) -> dict[str, tuple[bytes, dict[str, Any]]]:
    """What is just accepted, by its name: the image, and the fields beside it. The short form is smaller."""
    hog, cnn, box, faces = (1400, 1200, 100, 50) if short else (3500, 3100, 249, 1000)
    unscaled = pb.EncodeOptions(detector=pb.DETECTOR_CNN, full_resolution=True, upsample=0)
    boxes = [pb.BoundingBox(top=0, left=0, bottom=box, right=box)] * faces
    return {
        f"{hog} x {hog}, doubled once, HOG": (blank(hog, hog), {"options": FULL}),
        f"{cnn} x {cnn}, not doubled, CNN": (blank(cnn, cnn), {"options": unscaled}),
        f"{faces} boxes of {box + 1} x {box + 1}": (blank(300, 300), {"face_boxes": boxes}),
    }


async def failure(call: Awaitable[pb.EncodeResponse]) -> FacerecError | None:
    """What a call fails with."""
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return from_rpc_error(error, "the encoder")
    return None


async def _refused_pictures(victim: Victim) -> AsyncIterator[CheckResult]:
    for name, (image, fields, field) in refused().items():
        used = victim.cpu_seconds()
        error = await failure(victim.encode("unlimited", image, **fields))
        used = victim.cpu_seconds() - used
        said = f"refused, naming {error.field}" if error else "searched"
        holds = error is not None and error.field == field
        yield CheckResult(
            f"encoder cost: {name}, {len(image):,} bytes", f"{said}; {used:.1f} s of a core", holds
        )


async def _pictures_at_the_limits(victim: Victim, *, short: bool) -> AsyncIterator[CheckResult]:
    for name, (image, fields) in at_the_limits(short=short).items():
        used = victim.cpu_seconds()
        error = await failure(victim.encode("unlimited", image, **fields))
        used = victim.cpu_seconds() - used
        said = error.reason if error else "answered"
        holds = error is None and used < SECONDS_AT_A_LIMIT
        yield CheckResult(f"encoder cost: {name}", f"{said}; {used:.1f} s of a core", holds)


async def _rate(victim: Victim, costly: bytes) -> CheckResult:
    """Two at once of a key that has four probes at once: it takes a full bucket for one to pass."""
    errors = await asyncio.gather(*(failure(victim.encode("slow", costly, options=FULL)) for _ in range(2)))
    reasons = sorted(error.reason if error else "OK" for error in errors)
    name = "encoder cost: two of the costliest at once, by a key of 2 probes a second"
    return CheckResult(name, ", ".join(reasons), reasons.count("OK") <= 1)


async def _beside(victim: Victim, costly: bytes, photos: int) -> AsyncIterator[CheckResult]:
    """Photos of another caller while eight of the costliest are under way; then their caller hangs up."""
    photo = pictures.camera_photo()
    await victim.encode("other", photo)
    forget_peak(victim.process.pid)
    idle_bytes = victim.process.memory_info().rss
    hostile = [asyncio.ensure_future(victim.encode("unlimited", costly, options=FULL)) for _ in range(8)]
    seconds: list[float] = []
    ahead = 0  # costly calls that finished before the first photo was answered
    for _ in range(photos):
        begin = time.monotonic()
        assert len((await victim.encode("other", photo)).faces) == 1
        seconds.append(time.monotonic() - begin)
        ahead = ahead if len(seconds) > 1 else sum(call.done() for call in hostile)
    waited = sorted(seconds)
    yield CheckResult(
        "encoder cost: another's photos, one by one, beside eight of the costliest",
        f"{ahead} of the eight came first; p50 {statistics.median(waited):.2f} s, "
        f"p99 {waited[int(0.99 * len(waited))]:.2f} s",
        ahead == 0,
    )
    used = victim.cpu_seconds()
    for call in hostile:
        call.cancel()
    await asyncio.gather(*hostile, return_exceptions=True)
    await victim.quiet()
    used = victim.cpu_seconds() - used
    name = "encoder cost: after the caller of eight of the costliest hung up"
    yield CheckResult(name, f"{used:.1f} s of a core", used < SECONDS_AFTER_CANCEL)
    above = peak(victim.process.pid) - idle_bytes
    name = "encoder cost: memory above idle beside eight of the costliest"
    yield CheckResult(name, f"{above / MIB:.0f} MiB", above < BYTES_AT_THE_BOUND)


async def _attack(server: EncoderProcess, *, short: bool) -> list[CheckResult]:
    async with contextlib.AsyncExitStack() as stack:
        stubs = {}
        for number, key in enumerate(("unlimited", "slow", "other")):
            options = [*CHANNEL, ("grpc.n", number)]  # a connection each
            channel = await stack.enter_async_context(grpc.aio.insecure_channel(server.address, options))
            stubs[key] = pb.EncoderServiceStub(channel)
        victim = Victim(server, stubs)
        costly = blank(1400, 1400) if short else blank(3500, 3500)  # 8 and 49 megapixels when doubled
        found = [finding async for finding in _refused_pictures(victim)]
        found += [finding async for finding in _pictures_at_the_limits(victim, short=short)]
        found.append(await _rate(victim, costly))
        found += [finding async for finding in _beside(victim, costly, photos=3 if short else 25)]
        found += [finding async for finding in costly_structures.attack(victim, short=short)]
        return found


def _keys() -> Sequence[str]:
    return (
        entry("unlimited", "unlimited", ["encode"]),
        entry("slow", "slow", ["encode"], "probes_per_second = 2"),
        entry("other", "other", ["encode"]),
    )


def attack(*, short: bool) -> list[CheckResult]:
    """Try each costly picture, the effect of a rate, and of the costliest pictures on other callers."""
    folder = Path(tempfile.mkdtemp(prefix="facerec-hostile-"))
    try:
        (folder / "keys.toml").write_text("\n".join(_keys()))
        flags = ("--threads", "2", "--keys-file", str(folder / "keys.toml"), "--max-call-seconds", "600")
        server = EncoderProcess(*flags, cache=engine.MODELS)
        try:
            server.event("serving")
            return asyncio.run(_attack(server, short=short))
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
