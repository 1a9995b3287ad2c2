"""Mutated images and random bytes against a running service: every input is answered or refused."""

import asyncio
import dataclasses
import io
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc.aio
import numpy as np
import psutil
from PIL import Image

import facerec.encoder.v1 as pb
from tests.benchmarks.encoder import engine, shapes
from tests.benchmarks.encoder.tables import table
from tests.fixtures.encoder import EncoderProcess

IN_FLIGHT = 8
DEADLINE_SECONDS = 120.0
SLOWEST_SECONDS = 10.0  # most that an answer may take on a machine with nothing else to do
MAX_PIXELS = 16_000_000
BOXES_SHARE = 0.02  # of the inputs
ALLOWED = {"OK", "INVALID_ARGUMENT"}


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How inputs were answered; `bad` are those that no input may cause."""

    codes: Counter[str]
    bad: list[tuple[str, bytes]]
    slowest_seconds: float
    peak_bytes: int
    idle_bytes: int


def seeds() -> list[bytes]:
    """Small valid images of every format and of the modes that are decoded differently."""
    y, x = np.mgrid[0:40, 0:56]
    picture = Image.fromarray(np.stack([4 * x, 5 * y, 255 - 2 * x - 2 * y], axis=2).astype(np.uint8))
    grey = Image.fromarray((y * 1500 + x).astype(np.uint16))
    exif = Image.Exif()
    exif[0x0112] = 6
    saved: list[tuple[Image.Image, str, dict[str, object]]] = [
        (picture, "JPEG", {"exif": exif}),
        (picture, "JPEG", {"progressive": True}),
        (picture.convert("L"), "JPEG", {}),
        (picture.convert("CMYK"), "JPEG", {}),
        (picture, "PNG", {"exif": exif}),
        (picture.convert("RGBA"), "PNG", {}),
        (picture.quantize(16), "PNG", {}),
        (grey, "PNG", {}),
        (picture, "WEBP", {}),
        (picture, "WEBP", {"lossless": True}),
        (picture, "WEBP", {"save_all": True, "append_images": [picture.rotate(180)]}),
        (picture, "BMP", {}),
        (picture.quantize(16), "BMP", {}),
        (picture, "GIF", {"save_all": True, "append_images": [picture.rotate(180)]}),
        (picture, "TIFF", {}),
        (picture, "TIFF", {"compression": "tiff_lzw"}),
        (picture, "TIFF", {"compression": "jpeg"}),
        (grey, "TIFF", {}),
    ]
    return [_encoded(image, name, options) for image, name, options in saved]


def inputs(count: int, seed: int = 1) -> Iterator[pb.EncodeRequest]:
    """Mutated seeds, spliced ones, now and then random bytes, large structures and boxes."""
    chance = random.Random(seed)
    valid = seeds()
    mutations = (_flip, _cut, _repeat, _splice, _grow, _noise, _structure)
    for _ in range(count):
        kind = chance.choices(mutations, (50, 10, 10, 15, 10, 5, 2))[0]
        image = kind(bytearray(chance.choice(valid)), valid, chance)
        boxes = shapes.boxes(chance) if chance.random() < BOXES_SHARE else ()
        yield pb.EncodeRequest(image=image, face_boxes=boxes)


Mutation = Callable[[bytearray, list[bytes], random.Random], bytes]


def _flip(data: bytearray, _: list[bytes], chance: random.Random) -> bytes:
    for _change in range(chance.choice((1, 1, 2, 4, 16))):
        # Headers decide most, so half of the changes go there.
        end = min(len(data), 64) if chance.random() < 0.5 else len(data)
        data[chance.randrange(end)] = chance.choice((0, 1, 127, 128, 255, chance.randrange(256)))
    return bytes(data)


def _cut(data: bytearray, _: list[bytes], chance: random.Random) -> bytes:
    return bytes(data[: chance.randrange(len(data))])


def _repeat(data: bytearray, _: list[bytes], chance: random.Random) -> bytes:
    at = chance.randrange(len(data))
    return bytes(data[:at] + data[at : at + chance.randrange(1, 200)] * chance.randrange(1, 50) + data[at:])


def _splice(data: bytearray, valid: list[bytes], chance: random.Random) -> bytes:
    other = chance.choice(valid)
    return bytes(data[: chance.randrange(len(data))] + other[chance.randrange(len(other)) :])


def _grow(data: bytearray, _: list[bytes], chance: random.Random) -> bytes:
    at = chance.randrange(min(len(data), 200))
    data[at : at + 4] = chance.choice(
        (b"\xff\xff\xff\xff", b"\0\0\x1f\x40", b"\x40\x1f\0\0", b"\x7f\xff\xff\xff")
    )
    return bytes(data)


def _noise(_: bytearray, valid: list[bytes], chance: random.Random) -> bytes:
    head = chance.choice(valid)[: chance.choice((0, 4, 12))]
    return head + chance.randbytes(chance.randrange(2000))


def _structure(_: bytearray, valid: list[bytes], chance: random.Random) -> bytes:
    image = shapes.some(chance, MAX_PIXELS)
    return _flip(bytearray(image), valid, chance) if chance.random() < 0.3 else image


async def attack(address: str, pid: int, count: int, seed: int) -> Outcome:
    """Send the inputs, a few at a time."""
    process = psutil.Process(pid)
    codes: Counter[str] = Counter()
    bad: list[tuple[str, bytes]] = []
    slowest, idle = 0.0, process.memory_info().rss
    source = inputs(count, seed)
    options = [("grpc.enable_retries", 0), ("grpc.max_send_message_length", -1)]
    async with grpc.aio.insecure_channel(address, options) as channel:
        encoder = pb.EncoderServiceStub(channel)

        async def send() -> None:
            nonlocal slowest
            for request in source:
                begin = time.monotonic()
                try:
                    await encoder.Encode(request, timeout=DEADLINE_SECONDS)
                    code = "OK"
                except grpc.aio.AioRpcError as error:
                    code = error.code().name
                slowest = max(slowest, time.monotonic() - begin)
                codes[code] += 1
                if code not in ALLOWED:
                    bad.append((code, request.image))

        await asyncio.gather(*(send() for _ in range(IN_FLIGHT)))
    return Outcome(codes, bad, slowest, _peak_bytes(pid), idle)


def attempt(count: int, seed: int = 1) -> tuple[Outcome, bool]:
    """Attack a server of its own; returns the outcome and whether the server is still alive."""
    server = EncoderProcess("--max-pixels", str(MAX_PIXELS), cache=engine.MODELS)
    server.event("serving")
    try:
        outcome = asyncio.run(attack(server.address, server.process.pid, count, seed))
        lived = server.process.poll() is None
    finally:
        server.stop()
    return outcome, lived


def run(count: int) -> bool:
    """Print the table; what misbehaved is left in a folder for the corpus. Returns whether nothing did."""
    outcome, lived = attempt(count)
    rows = [(code, number) for code, number in outcome.codes.most_common()]
    print(table(("answer", "inputs"), rows))
    print(
        f"\nthe process {'lived' if lived else 'DIED'}; slowest answer {outcome.slowest_seconds:.2f} s; ",
        end="",
    )
    grown = (outcome.peak_bytes - outcome.idle_bytes) / 2**20
    print(f"memory at most {grown:.0f} MiB above idle, with images of up to {MAX_PIXELS:,} pixels")
    folder = Path("fuzz-results")
    for number, (code, data) in enumerate(outcome.bad):
        folder.mkdir(exist_ok=True)
        (folder / f"{code}-{number}.bin").write_bytes(data)
    if outcome.bad:
        print(f"{len(outcome.bad)} inputs misbehaved: see {folder}/")
    return lived and not outcome.bad and outcome.slowest_seconds < SLOWEST_SECONDS


def _peak_bytes(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def _encoded(image: Image.Image, name: str, options: dict[str, object]) -> bytes:
    with io.BytesIO() as out:
        image.save(out, name, **options)
        return out.getvalue()
