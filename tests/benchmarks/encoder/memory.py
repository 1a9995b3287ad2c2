"""The peak memory of one request: the largest picture of each kind, with each profile and detector."""

import asyncio
import dataclasses
import io
import math
import os
import re
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from facerec.client import AsyncEncoderClient, BoundingBox
from facerec.errors import FacerecError
from tests.benchmarks.encoder import pictures
from tests.benchmarks.encoder.service import PinnedServer
from tests.benchmarks.encoder.tables import table

MIB = 2**20
DECODED_BYTES = 24
"""For each pixel of the picture as sent, as docs/encoder.md states, over FIXED_BYTES."""

SEARCHED_BYTES = {"hog": 12, "cnn": 170}
"""For each pixel searched by `full_resolution`, beside that."""

FIXED_BYTES = 48 * MIB
MAX_PIXELS = 63_900_000
MAX_SEARCHED = {"hog": 49_500_000, "cnn": 9_900_000}
"""Just within the default limits."""

LYING = 6  # an EXIF orientation that turns the picture, for which it is copied


@dataclasses.dataclass(frozen=True)
class Cost:
    """The peak of resident memory above what the process took before, in bytes, and what was answered."""

    kind: str
    profile: str
    pixels: int
    searched_pixels: int
    encoded_bytes: int
    above_idle_bytes: int
    answer: str

    @property
    def bytes_per_pixel(self) -> float:
        """Of the picture as it was sent."""
        return self.above_idle_bytes / self.pixels

    @property
    def stated_bytes(self) -> int:
        """The most it may be."""
        searched = SEARCHED_BYTES["cnn" if "CNN" in self.profile else "hog"] * self.searched_pixels
        return DECODED_BYTES * self.pixels + searched + FIXED_BYTES


def scene(pixels: int) -> Image.Image:
    """A square picture with one face that fills a ninth of it, and little else to compress."""
    side = math.isqrt(pixels)
    portrait = next(photo for photo in pictures.photos() if photo.name == "obama.jpg").image
    made = Image.new("RGB", (side, side), (96, 104, 112))
    made.paste(portrait.resize((side // 2, side // 2), Image.Resampling.BILINEAR), (side // 4, side // 4))
    return made


def kinds() -> dict[str, Callable[[Image.Image], bytes]]:
    """How a picture is encoded, by the name of the kind."""

    def saved(name: str, convert: str | None = None, **options: Any) -> Callable[[Image.Image], bytes]:
        def save(picture: Image.Image) -> bytes:
            with io.BytesIO() as out:
                (picture.convert(convert) if convert else picture).save(out, name, **options)
                return out.getvalue()

        return save

    lying = Image.Exif()
    lying[0x0112] = LYING
    return {
        "JPEG": saved("JPEG"),
        "JPEG, turned by EXIF": saved("JPEG", exif=lying),
        "JPEG, progressive": saved("JPEG", progressive=True),
        "JPEG, grey": saved("JPEG", "L"),
        "JPEG, CMYK": saved("JPEG", "CMYK"),
        "PNG": saved("PNG", compress_level=1),
        "PNG, turned by EXIF": saved("PNG", compress_level=1, exif=lying),
        "PNG, alpha": saved("PNG", "RGBA", compress_level=1),
        "PNG, palette": saved("PNG", "P", compress_level=1),
        "PNG, 16-bit grey": _sixteen_bit,
        "WebP": saved("WEBP", quality=50, method=0),
        "WebP, lossless": saved("WEBP", lossless=True, quality=0, method=0),
        "GIF": saved("GIF", "P"),
        "TIFF, deflate": saved("TIFF", compression="tiff_adobe_deflate"),
        "TIFF, CMYK": saved("TIFF", "CMYK", compression="tiff_adobe_deflate"),
        "BMP": saved("BMP"),
    }


def _sixteen_bit(picture: Image.Image) -> bytes:
    grey = np.asarray(picture.convert("L")).astype(np.uint16) * 257
    with io.BytesIO() as out:
        Image.fromarray(grey).save(out, "PNG", compress_level=1)
        return out.getvalue()


@dataclasses.dataclass(frozen=True)
class Profile:
    """A way of looking: the options, and by which detector every pixel is searched, if any does."""

    options: dict[str, Any]
    detector: str = ""

    def pixels(self, share: float) -> int:
        """The pixels of a picture of that share of the largest."""
        doubled = self.options.get("upsample", 0)
        most = MAX_SEARCHED[self.detector] >> 2 * doubled if self.detector else MAX_PIXELS
        return int(share * most)

    def searched(self, pixels: int) -> int:
        """The pixels searched of so many."""
        return pixels << 2 * self.options.get("upsample", 0) if self.detector else 0


def _full(detector: str, upsample: int) -> Profile:
    return Profile({"full_resolution": True, "detector": detector, "upsample": upsample}, detector)


PROFILES: dict[str, Profile] = {
    "default": Profile({}),
    "default, 68 landmarks": Profile({"alignment": "large", "return_landmarks": True}),
    "default, CNN": Profile({"detector": "cnn"}),
    "face_boxes": Profile({"face_boxes": True}),
    **{f"full_resolution, HOG, upsample {doubled}": _full("hog", doubled) for doubled in range(3)},
    **{f"full_resolution, CNN, upsample {doubled}": _full("cnn", doubled) for doubled in range(3)},
}


def _status(pid: int, name: str) -> int:
    text = Path(f"/proc/{pid}/status").read_text()
    found = re.search(rf"^{name}:\s+(\d+) kB", text, re.MULTILINE)
    assert found is not None
    return int(found[1]) * 1024


def peak(pid: int) -> int:
    """The peak resident memory since its last reset, in bytes."""
    return _status(pid, "VmHWM")


def forget_peak(pid: int) -> None:
    """Reset the kernel's peak."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


async def _cost(
    client: AsyncEncoderClient, pid: int, image: bytes, options: dict[str, Any]
) -> tuple[int, str]:
    idle = _status(pid, "VmRSS")
    forget_peak(pid)
    try:
        answer = f"{len((await client.encode(image, **options)).faces)} faces"
    except FacerecError as error:
        answer = str(error.reason)
    return peak(pid) - idle, answer


def attempt(
    *, share: float = 1.0, max_image_bytes: int, profiles: Collection[str], only: Collection[str] = ()
) -> Iterator[Cost]:
    """Send one picture of each kind in each profile, each to a server that has seen nothing else large.

    The pictures have that share of the pixels that the default limits let in.
    """
    for profile in profiles:
        pixels = PROFILES[profile].pixels(share)
        searched, picture = PROFILES[profile].searched(pixels), scene(pixels)
        for kind, encode in kinds().items():
            if only and kind not in only:
                continue
            image = encode(picture)
            if len(image) > max_image_bytes:
                yield Cost(kind, profile, pixels, searched, len(image), 0, "more bytes than are taken")
                continue
            with PinnedServer(sorted(os.sched_getaffinity(0)), "--threads", "1") as server:
                above, answer = asyncio.run(_ask(server.address, server.process.pid, image, profile, pixels))
            yield Cost(kind, profile, pixels, searched, len(image), above, answer)


async def _ask(address: str, pid: int, image: bytes, profile: str, pixels: int) -> tuple[int, str]:
    options, side = dict(PROFILES[profile].options), math.isqrt(pixels)
    if options.pop("face_boxes", False):  # a small one, for which all pixels are decoded, and the whole
        edges = ((0, 40, 40, 0), (0, side - 1, side - 1, 0))
        options["face_boxes"] = [BoundingBox(*each) for each in edges]
    async with AsyncEncoderClient(address, timeout_seconds=300) as client:
        await client.encode(pictures.camera_photo())
        return await _cost(client, pid, image, options)


def run(max_image_bytes: int = 16 * MIB, only: Collection[str] = ()) -> None:
    """Print the table: every kind in every profile, at the default limits."""
    rows = []
    for cost in attempt(max_image_bytes=max_image_bytes, profiles=list(PROFILES), only=only):
        row = (
            cost.kind,
            cost.profile,
            f"{cost.pixels / 1e6:.1f}",
            f"{cost.encoded_bytes / MIB:.1f}",
            f"{cost.above_idle_bytes / MIB:.0f}",
            f"{cost.bytes_per_pixel:.1f}",
            f"{cost.above_idle_bytes / cost.stated_bytes:.0%}",
            cost.answer,
        )
        print("  ".join(map(str, row)), flush=True)
        rows.append(row)
    head = ("kind", "profile", "megapixels", "MiB sent", "MiB above idle, at most", "bytes a pixel")
    print("\none image at a time\n")
    print(table((*head, "of what is stated", "answer"), rows))
