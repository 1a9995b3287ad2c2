"""Photos of faces with the people in them, and degraded variants of each photo."""

import dataclasses
import functools
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from facerec import samples
from tests.benchmarks.encoder.engine import ROOT

SAMPLES = ROOT / ".cache" / "samples"
_NAMED_OTHERWISE = {"32bit": "obama"}
_BICUBIC = Image.Resampling.BICUBIC


@dataclasses.dataclass(frozen=True, eq=False)
class Photo:
    """A photo and its person; empty if it shows several or the person is unknown."""

    name: str
    person: str
    image: Image.Image


def photos(folder: Path | None = None) -> list[Photo]:
    """The sample photos, and those of a folder of yours that holds a folder a person.

    What lies deeper or outside of such a folder is of nobody known.
    """
    found = [_photo(path, _sampled(path)) for path in sorted(samples.sample_photos(SAMPLES).iterdir())]
    for path in sorted(folder.rglob("*.jp*g")) if folder else ():
        is_person = path.parent.parent.name == "people"
        found.append(_photo(path, path.parent.name.partition("_")[0] if is_person else ""))
    return found


def _sampled(path: Path) -> str:
    return _NAMED_OTHERWISE.get(path.stem, path.stem.partition("_")[0].rstrip("0123456789"))


def _photo(path: Path, person: str) -> Photo:
    with Image.open(path) as image:
        upright = ImageOps.exif_transpose(image).convert("RGB")
    return Photo(path.name, person, upright)


def jpeg(image: Image.Image, quality: int = 92) -> bytes:
    """The bytes of a JPEG."""
    with io.BytesIO() as out:
        image.save(out, "JPEG", quality=quality)
        return out.getvalue()


def sized(image: Image.Image, longer_side: int) -> Image.Image:
    """The image enlarged or reduced."""
    scale = longer_side / max(image.size)
    return image.resize((round(image.width * scale), round(image.height * scale)), _BICUBIC)


def variants(image: Image.Image) -> Iterator[tuple[str, bytes]]:
    """The photo itself, resized, turned and degraded, each under its name."""
    yield "itself", jpeg(image)
    yield "half size", jpeg(sized(image, max(image.size) // 2))
    yield "4000 pixels", jpeg(sized(image, 4000))
    yield "turned by 10", jpeg(image.rotate(10, _BICUBIC, expand=True))
    yield "turned by -15", jpeg(image.rotate(-15, _BICUBIC, expand=True))
    yield "blurred", jpeg(image.filter(ImageFilter.GaussianBlur(max(image.size) / 500)))
    yield "JPEG of quality 30", jpeg(image, 30)
    yield "darkened", jpeg(ImageEnhance.Brightness(image).enhance(0.35))
    noise = np.random.default_rng(1).normal(0, 15, (image.height, image.width, 3))
    yield "noisy", jpeg(Image.fromarray(np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8)))


@functools.cache
def phone_photo() -> bytes:
    """A photo of 12 megapixels with one face, as a phone makes it: 4000 x 3000, JPEG."""
    portrait = next(photo for photo in photos() if photo.name == "biden.jpg").image
    scene = Image.new("RGB", (4000, 3000), (96, 104, 112))
    person = portrait.crop((0, 0, 970, 1400)).resize((2078, 3000), _BICUBIC)
    scene.paste(person, (961, 0))
    pixels, random = np.array(scene), np.random.default_rng(2)
    for rows in np.split(pixels, 30):  # of the whole picture the texture would take 288 MB
        rows[:] = np.clip(rows + random.normal(0, 4, rows.shape), 0, 255).astype(np.uint8)
    return jpeg(Image.fromarray(pixels), 90)


def camera_photo() -> bytes:
    """A photo of 640 x 480 with one face, JPEG."""
    portrait = next(photo for photo in photos() if photo.name == "obama.jpg").image
    scene = Image.new("RGB", (640, 480), (96, 104, 112))
    scene.paste(portrait.resize((384, 480), _BICUBIC), (128, 0))
    return jpeg(scene, 90)
