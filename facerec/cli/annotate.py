"""Drawing into a photo who is in it."""

import io
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, ImageOps

from facerec.cli.problems import Problem
from facerec.client import IdentifiedFace
from facerec.printable import printable

KNOWN = (30, 140, 60)
UNKNOWN = (190, 50, 40)
WHITE = (255, 255, 255)


def check_target(path: Path) -> None:
    """Raise Problem where no picture can be written to `path`."""
    if path.suffix.lower() not in Image.registered_extensions():
        raise Problem(f"{path}: name a picture to write, such as out.jpg", "FILE")
    if not path.parent.is_dir():
        raise Problem(f"{path}: there is no folder {path.parent}", "FILE")


def draw(image: bytes, faces: Sequence[IdentifiedFace], path: Path) -> None:
    """Write a copy of the image, upright, with each face's box, best candidate and distance.

    Where distances are withheld and there are several candidates, how many take the place of the best.
    """
    try:
        with Image.open(io.BytesIO(image)) as opened:
            picture = ImageOps.exif_transpose(opened).convert("RGB")
        canvas = ImageDraw.Draw(picture)
        for face in faces:
            _mark(canvas, face, picture.size)
        picture.save(path)
    except OSError as error:
        raise Problem(f"{path}: cannot be written: {error}", "FILE") from error


def _mark(canvas: ImageDraw.ImageDraw, face: IdentifiedFace, size: tuple[int, int]) -> None:
    box = face.bounding_box
    if box is None:
        return
    best = face.candidates[0] if face.candidates else None
    text = printable(best.display_name or best.person_id) if best else "nobody"
    if best and best.distance is not None:
        text = f"{text} {best.distance:.2f}"
    elif face.matched_persons > 1:  # in the order of ids, the first no likelier than the others
        text = f"one of {face.matched_persons}"
    color = KNOWN if best else UNKNOWN
    line_pixels = max(2, max(size) // 400)
    canvas.rectangle((box.left, box.top, box.right, box.bottom), outline=color, width=line_pixels)
    font = ImageFont.load_default(size=max(12, (box.right - box.left) // 8))
    left, top, right, bottom = canvas.textbbox((0, 0), text, font=font)
    # Below the face, or above where the picture ends; never beyond a side.
    x = max(0, min(box.left, size[0] - int(right - left) - 2 * line_pixels))
    height = int(bottom - top) + 3 * line_pixels
    y = box.bottom if box.bottom + height <= size[1] else max(0, box.top - height)
    canvas.rectangle((x, y, x + (right - left) + 2 * line_pixels, y + height), fill=color)
    canvas.text((x + line_pixels - left, y + line_pixels - top), text, fill=WHITE, font=font)
