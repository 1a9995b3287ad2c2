"""What a file's structure costs an encoder: at the bounds, after its caller hung up, and others beside it."""

import asyncio
import dataclasses
import statistics
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING

from PIL import Image

import facerec.encoder.v1 as pb
from tests.benchmarks.encoder import pictures
from tests.benchmarks.encoder.memory import DECODED_BYTES, FIXED_BYTES, forget_peak, peak
from tests.fixtures import structures
from tests.fixtures.structures import COUNTED, saved
from tests.soak.hostile.report import CheckResult

if TYPE_CHECKING:
    from tests.soak.hostile.encoder_cost import Victim

MIB = 2**20
SECONDS = 3.0  # of a core, for one file, as docs/encoder.md states
SECONDS_AFTER = 2.0  # of a core, once its caller is gone
PATIENCE_SECONDS = 60


@dataclasses.dataclass(frozen=True)
class Costly:
    """A file at the bounds, or just beyond them."""

    name: str
    make: Callable[[], bytes]
    pixels: int
    boxes: Sequence[pb.BoundingBox] = ()


def at_the_bounds(side: int) -> list[Costly]:
    """Files of a square of that side which cost the most of what is let in."""
    pixels = side * side
    flat = Image.new("RGB", (side, side), (96, 104, 112))
    rest = pb.BoundingBox(top=100, left=0, bottom=side - 1, right=side - 1)
    small = pb.BoundingBox(top=0, left=0, bottom=99, right=99)  # for which all pixels are decoded
    sized: dict[str, Callable[[], bytes]] = {
        "JPEG, 4:2:0, 24 passes": lambda: structures.jpeg_scans(side, 26),
        "JPEG, 4:4:4, 24 passes": lambda: structures.jpeg_scans(side, 20, subsampling=0),
        "JPEG, 10 scans of no bytes": lambda: structures.jpeg_scans_of_no_bytes(side, 10),
        "JPEG, 10 scans, 4:4:4": lambda: structures.jpeg_scans(side, 10, subsampling=0),
        "JPEG, 24 scans of no bytes": lambda: structures.jpeg_scans_of_no_bytes(side, 24),
        "JPEG, 24 arithmetic scans of no bytes": lambda: structures.jpeg_scans_of_no_bytes(side, 24, 0xCA),
        "PNG, 16-bit RGBA": lambda: structures.png(side, side, bits=16, color=6),
        "PNG of the longest side": lambda: structures.png(pixels // 65_535, 65_535),
        "GIF": lambda: saved(flat.quantize(16), "GIF"),
        "WebP": lambda: saved(flat, "WEBP", method=0),
        "TIFF, tiles of 64 x 64": lambda: structures.tiff_tiles(side // 64 * 64, side // 64 * 64, 64, 64),
        "TIFF, strips in 24 scans": lambda: structures.tiff_jpeg_scans(side, side // 8, 24),
    }
    found = [Costly(name, make, pixels) for name, make in sized.items()]
    found.append(Costly("BMP, run-length encoded", lambda: structures.bmp_lines(side // 4), pixels // 16))
    found.append(
        Costly("TIFF, a tile of 2048 x 2048", lambda: structures.tiff_tiles(64, 64, 2048, 2048), 4096)
    )
    found.append(
        Costly("JPEG, a box of nearly all of it", lambda: saved(flat, "JPEG"), pixels, [small, rest])
    )
    for name, (make, most, _) in COUNTED.items():
        found.append(Costly(f"{name}, {most}", lambda make=make, most=most: make(most), 4096))  # type: ignore[misc]
    return found


def beyond_the_bounds() -> list[Costly]:
    """Files that were let in once, and took tens of seconds or gigabytes."""
    sized: dict[str, Callable[[], bytes]] = {
        "2 x 25,000,000 PNG": lambda: structures.png(2, 25_000_000),
        "64 x 64 TIFF in a tile of 6,000 x 6,000": lambda: structures.tiff_tiles(64, 64, 6000, 6000),
        "64 megapixels in 99 scans of no bytes": lambda: structures.jpeg_scans_of_no_bytes(7990, 99, 0xCA),
        "64 megapixels of run-length encoded BMP": lambda: structures.bmp_lines(7990),
        "EXIF in 200,000 segments": lambda: structures.jpeg_exif_in_segments(200_000),
        "4 million empty JPEG segments": lambda: structures.jpeg_empty_segments(4_000_000),
        "a million PNG chunks": lambda: structures.png_chunks(b"prVt", b"", 1_000_000),
        "8 million GIF blocks": lambda: structures.gif_comment(8_000_000),
        "2 million fractions in a TIFF tag": lambda: structures.tiff_values(2_000_000),
    }
    return [Costly(name, make, 0) for name, make in sized.items()]


async def attack(victim: "Victim", *, short: bool) -> AsyncIterator[CheckResult]:
    """Send all of them one by one, then those of most pixels again and hang up, then beside a photo."""
    side = 1990 if short else 7990
    for file in beyond_the_bounds():
        yield await _refused(victim, file)
    costly = at_the_bounds(side)
    for file in costly:
        yield await _answered(victim, file)
    large = [file for file in costly if file.pixels == side * side]
    for file in large[:1] if short else large:
        yield await _abandoned(victim, file)
    if not short:
        for file in large:
            yield await _beside(victim, file)


def _encode(victim: "Victim", file: Costly, image: bytes) -> asyncio.Future[object]:
    return asyncio.ensure_future(victim.encode("unlimited", image, face_boxes=file.boxes))


async def _cost(victim: "Victim", file: Costly) -> tuple[str, float, int]:
    """What is answered, the seconds of a core, and the bytes above idle."""
    image = file.make()
    forget_peak(victim.process.pid)
    idle, used = victim.process.memory_info().rss, victim.cpu_seconds()
    (answer,) = await asyncio.gather(_encode(victim, file, image), return_exceptions=True)
    said = "refused" if isinstance(answer, BaseException) else "answered"
    if isinstance(answer, BaseException) and "INVALID_ARGUMENT" not in str(answer):
        raise answer
    return said, victim.cpu_seconds() - used, peak(victim.process.pid) - idle - len(image)


async def _refused(victim: "Victim", file: Costly) -> CheckResult:
    said, seconds, _ = await _cost(victim, file)
    name = f"encoder cost: {file.name}"
    return CheckResult(name, f"{said}; {seconds:.1f} s of a core", said == "refused" and seconds < 1)


async def _answered(victim: "Victim", file: Costly) -> CheckResult:
    said, seconds, above = await _cost(victim, file)
    stated = DECODED_BYTES * file.pixels + FIXED_BYTES
    figure = f"{said}; {seconds:.1f} s of a core, {above / MIB:.0f} MiB of {stated / MIB:.0f}"
    name = f"encoder cost: {file.name}, at the bound"
    return CheckResult(name, figure, said == "answered" and seconds < SECONDS and above < stated)


async def _abandoned(victim: "Victim", file: Costly) -> CheckResult:
    """Hang up as soon as work has begun, and wait until it ends."""
    image, begun = file.make(), victim.cpu_seconds()
    call = _encode(victim, file, image)
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        if call.done() or victim.cpu_seconds() - begun > 0.1:
            break
        await asyncio.sleep(0.01)
    call.cancel()
    used = victim.cpu_seconds()
    await victim.quiet()
    seconds = victim.cpu_seconds() - used
    name = f"encoder cost: {file.name}, after its caller hung up"
    return CheckResult(name, f"{seconds:.1f} s of a core", seconds < SECONDS_AFTER)


async def _beside(victim: "Victim", file: Costly) -> CheckResult:
    """Photos one by one, while nobody else sends and while two of these are always under way."""
    photo, image = pictures.camera_photo(), file.make()
    quiet = await _photo_seconds(victim, photo)
    ended = asyncio.Event()

    async def again() -> None:
        while not ended.is_set():
            await _encode(victim, file, image)

    others = [asyncio.ensure_future(again()) for _ in range(2)]
    seconds = await _photo_seconds(victim, photo)
    ended.set()
    await asyncio.gather(*others)
    name = f"encoder cost: another's photos beside two of {file.name}"
    return CheckResult(name, f"p50 {seconds:.2f} s, alone {quiet:.2f} s", seconds < 2 * quiet + 0.05)


async def _photo_seconds(victim: "Victim", photo: bytes) -> float:
    seconds = []
    for _ in range(15):
        begin = time.monotonic()
        await victim.encode("other", photo)
        seconds.append(time.monotonic() - begin)
    return statistics.median(seconds)
