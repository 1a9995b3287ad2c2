"""Bounds on directories, strips and tiles of a TIFF (revision 6.0, 2), and of EXIF, which has its format."""

import dataclasses
import os
import struct
from collections.abc import Iterator
from typing import Final

from encoder_service.decoding.structure.bounds import check_count
from encoder_service.domain.errors import ImageTooLarge, ImageUnsupported

_MAX_TAGS: Final = 1_000
"""Tags of a TIFF directory. For each unknown tag libtiff sorts the known ones again. Cameras write 100."""

_MAX_EXIF_TAGS: Final = 10_000
"""Tags of an EXIF directory. A damaged block of 64 KB may appear to have half of these."""

_MAX_VALUES: Final = 100_000
"""Numbers in all tags of a directory, offsets of strips and tiles included; each becomes a Python object."""

_MAX_TILE_PIXELS: Final = 2048 * 2048
"""A tile of this size is always accepted, and a larger one in a picture that is large enough."""

_TILE_SHARE: Final = 2
"""A larger tile may have at most this many times the pixels of its picture."""

# libtiff refuses a JPEG strip or tile with this many scans or more; its own default is 100.
os.environ.setdefault("LIBTIFF_JPEG_MAX_ALLOWED_SCAN_NUMBER", "25")

_BIG: Final = 43
_WIDTH, _HEIGHT, _TILE_WIDTH, _TILE_HEIGHT = 256, 257, 322, 323
_DIRECTORIES: Final = (34665, 34853, 40965)
"""Tags that hold the offset of another directory: EXIF, GPS, interoperability."""

_BYTES_OF_TYPE: Final = {3: 2, 4: 4, 5: 8, 6: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
"""Bytes per value of the types whose values become numbers; bytes and text are kept as they are."""

_INTEGERS: Final = {
    1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 13: "I", 16: "Q", 17: "q", 18: "Q",
}  # fmt: skip
"""The `struct` formats of the types that libtiff accepts for a width or height."""


@dataclasses.dataclass(frozen=True)
class Directory:
    """A directory: how many tags it has, how many numbers they hold, and the tags with a single number."""

    tags: int
    values: int
    numbers: dict[int, int]


def check(data: bytes, max_pixels: int) -> None:
    """Check the first directory and those it refers to.

    Raises ImageInvalid, ImageTooLarge, and ImageUnsupported where Pillow and libtiff would read two different
    directories.
    """
    if data.startswith(b"MM\0+"):
        raise ImageUnsupported("BigTIFF in big-endian order is not supported; save it in little-endian order")
    for index, directory in enumerate(_directories(data)):
        _check_directory(directory, _MAX_TAGS)
        if index == 0:
            _check_tiles(directory.numbers, max_pixels)


def check_exif(block: bytes) -> None:
    """Check an EXIF block, with or without its prefix. Raises ImageInvalid."""
    while block.startswith(b"Exif\0\0"):
        block = block[6:]
    for directory in _directories(block):
        _check_directory(directory, _MAX_EXIF_TAGS)


def _check_directory(directory: Directory, max_tags: int) -> None:
    check_count(directory.tags, max_tags, "tags in a TIFF or EXIF directory")
    check_count(directory.values, _MAX_VALUES, "numbers in a TIFF or EXIF directory")


def _check_tiles(numbers: dict[int, int], max_pixels: int) -> None:
    width, height = numbers.get(_WIDTH, 0), numbers.get(_HEIGHT, 0)
    across, down = numbers.get(_TILE_WIDTH, 0), numbers.get(_TILE_HEIGHT, 0)
    if not (across and down):
        return
    max_tile_pixels = max(_MAX_TILE_PIXELS, _TILE_SHARE * width * height)
    covered = -(-width // across) * across * -(-height // down) * down
    if across * down > max_tile_pixels or covered > max(max_pixels, _MAX_TILE_PIXELS):
        raise ImageTooLarge(
            f"the TIFF has {width} x {height} pixels in tiles of {across} x {down}; save it with smaller "
            "tiles, or in strips"
        )


def _directories(data: bytes) -> Iterator[Directory]:
    """The first directory, and those that it refers to directly or indirectly, each once."""
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None or len(data) < 16:
        return
    big = data[2] == _BIG
    (first,) = struct.unpack_from(f"{order}Q", data, 8) if big else struct.unpack_from(f"{order}I", data, 4)
    waiting, visited = [first], set[int]()
    while waiting:
        offset = waiting.pop()
        if offset in visited or len(visited) > len(_DIRECTORIES) + 1:
            continue
        visited.add(offset)
        directory = _read(data, offset, order, big)
        waiting += [directory.numbers[tag] for tag in _DIRECTORIES if tag in directory.numbers]
        yield directory


def _read(data: bytes, offset: int, order: str, big: bool) -> Directory:
    """Read the part of a directory that is in the file; values beyond the end are skipped, as by Pillow."""
    counted, entry, inline = ("Q", "HHQ", 8) if big else ("H", "HHI", 4)
    size, start = struct.calcsize(f"{order}{entry}") + inline, offset + struct.calcsize(counted)
    if start > len(data):
        return Directory(0, 0, {})
    (tags,) = struct.unpack_from(f"{order}{counted}", data, offset)
    tags = min(tags, (len(data) - start) // size)
    values, numbers = 0, dict[int, int]()
    for at in range(start, start + size * min(tags, _MAX_EXIF_TAGS), size):
        tag, kind, count = struct.unpack_from(f"{order}{entry}", data, at)
        values += count if count * _BYTES_OF_TYPE.get(kind, len(data)) <= len(data) else 0
        if count == 1 and kind in _INTEGERS:
            number = _number(data, at + size - inline, order, kind, inline)
            numbers.setdefault(tag, number)
    return Directory(tags, values, numbers)


def _number(data: bytes, at: int, order: str, kind: int, inline: int) -> int:
    """A value, stored in its entry or, where it is too long, at the entry's offset; 0 where there is none."""
    form = f"{order}{_INTEGERS[kind]}"
    size = struct.calcsize(form)
    if size > inline:
        (at,) = struct.unpack_from(f"{order}I", data, at)
    return int(struct.unpack_from(form, data, at)[0]) if at + size <= len(data) else 0
