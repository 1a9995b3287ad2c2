"""Draws boxes and names into a copy of a photo."""

import io
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, ImageOps

from facerec.cli.terminal.errors import Problem
from facerec.client import Candidate, IdentifiedFace
from facerec.printable import printable

KNOWN = (30, 140, 60)
UNKNOWN = (190, 50, 40)
WHITE = (255, 255, 255)
MIN_FONT_PIXELS = 12
NO_CHARACTER = "\uffff"  # never assigned by Unicode, so a font draws its replacement glyph

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def check_target(path: Path) -> None:
    """Raise Problem if no picture can be written to `path`."""
    if path.suffix.lower() not in Image.registered_extensions():
        raise Problem(f"{path}: give the name of a picture, such as out.jpg", "FILE")
    if not path.parent.is_dir():
        raise Problem(f"{path}: there is no folder {path.parent}", "FILE")


def check_font(path: Path | None) -> None:
    """Raise Problem if a file is not a usable font."""
    _font(path, MIN_FONT_PIXELS)


def draw(image: bytes, faces: Sequence[IdentifiedFace], path: Path, *, font_file: Path | None = None) -> None:
    """Write a copy of the image, upright, with each face's box, best candidate and distance.

    If distances are withheld and there are several candidates, their number is drawn instead of the best.
    `font_file` is a TrueType or OpenType font; None is Pillow's, which has only the letters of English.
    """
    try:
        with Image.open(io.BytesIO(image)) as opened:
            picture = ImageOps.exif_transpose(opened).convert("RGB")
        canvas = ImageDraw.Draw(picture)
        for face in faces:
            _mark(canvas, face, picture.size, font_file)
        picture.save(path)
    except OSError as error:
        raise Problem(f"{path}: cannot be written: {error}", "FILE") from error


def _mark(
    canvas: ImageDraw.ImageDraw, face: IdentifiedFace, size: tuple[int, int], font_file: Path | None
) -> None:
    box = face.bounding_box
    if box is None:
        return
    best = face.candidates[0] if face.candidates else None
    font = _font(font_file, max(MIN_FONT_PIXELS, (box.right - box.left) // 8))
    text = _name(best, font) if best else "nobody"
    if best and best.distance is not None:
        text = f"{text} {best.distance:.2f}"
    elif face.matched_persons > 1:  # in the order of ids, so the first is no likelier than the others
        text = f"one of {face.matched_persons}"
    color = KNOWN if best else UNKNOWN
    line_pixels = max(2, max(size) // 400)
    canvas.rectangle((box.left, box.top, box.right, box.bottom), outline=color, width=line_pixels)
    left, top, right, bottom = canvas.textbbox((0, 0), text, font=font)
    # Below the face, or above it if the picture ends; always inside the picture.
    x = max(0, min(box.left, size[0] - int(right - left) - 2 * line_pixels))
    height = int(bottom - top) + 3 * line_pixels
    y = box.bottom if box.bottom + height <= size[1] else max(0, box.top - height)
    canvas.rectangle((x, y, x + (right - left) + 2 * line_pixels, y + height), fill=color)
    canvas.text((x + line_pixels - left, y + line_pixels - top), text, fill=WHITE, font=font)


def _font(path: Path | None, pixels: int) -> Font:
    if path is None:
        return ImageFont.load_default(size=pixels)
    try:
        return ImageFont.truetype(path, pixels)
    except OSError as error:
        raise Problem(f"--font {path}: it is not a font, or can't be read ({error})", "FILE") from error


def _name(person: Candidate, font: Font) -> str:
    """The display name or the id, whichever the font can draw; else the display name, escaped."""
    texts = [printable(text) for text in (person.display_name, person.person_id) if text]
    has = {character: _has(font, character) for text in texts for character in text}
    whole = next((text for text in texts if all(map(has.__getitem__, text))), None)
    return whole or "".join(
        character if has[character] else character.encode("unicode_escape").decode() for character in texts[0]
    )


def _has(font: Font, character: str) -> bool:
    """Whether a font has a glyph for a character, rather than its replacement glyph."""
    if character.isspace():
        return True
    drawn = font.getmask(character)
    return drawn.getbbox() is not None and bytes(drawn) != bytes(font.getmask(NO_CHARACTER))
