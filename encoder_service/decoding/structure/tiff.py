"""Directories, strips and tiles of a TIFF (revision 6.0, 2), and of EXIF, which is one."""

import dataclasses
import os
import struct
from collections.abc import Iterator
from typing import Final

from encoder_service.decoding.structure.bounds import check_count
from encoder_service.domain.errors import ImageTooLarge, ImageUnsupported

_MAX_TAGS: Final = 1_000
"""In a TIFF, where libtiff sorts those it knows anew for each it doesn't. Cameras write about a hundred."""

_MAX_EXIF_TAGS: Final = 10_000
"""In EXIF, where a damaged block of 64 KB may seem to have half of these."""

_MAX_VALUES: Final = 100_000
"""Numbers in all tags of a directory, the places of strips and tiles among them; each becomes an object."""

_MAX_TILE_PIXELS: Final = 2048 * 2048
"""A tile may always be that large, and larger where the picture is."""

_TILE_SHARE: Final = 2
"""A tile has at most so many pixels for each of its picture."""

# The least number of scans that libtiff refuses in a strip or tile that is a JPEG; 100 where nothing is said.
os.environ.setdefault("LIBTIFF_JPEG_MAX_ALLOWED_SCAN_NUMBER", "25")

_BIG: Final = 43
_WIDTH, _HEIGHT, _TILE_WIDTH, _TILE_HEIGHT = 256, 257, 322, 323
_DIRECTORIES: Final = (34665, 34853, 40965)
"""Tags that hold the place of another directory: EXIF, GPS, interoperability."""

_BYTES_OF_TYPE: Final = {3: 2, 4: 4, 5: 8, 6: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
"""Of types whose values become numbers; bytes and text are taken as they are."""

_INTEGERS: Final = {
    1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 13: "I", 16: "Q", 17: "q", 18: "Q",
}  # fmt: skip
"""How types are unpacked of which libtiff takes a width."""


@dataclasses.dataclass(frozen=True)
class Directory:
    """The tags of a directory: how many, how many numbers they hold, and those that hold one alone."""

    tags: int
    values: int
    numbers: dict[int, int]


def check(data: bytes, max_pixels: int) -> None:
    """Hold the first directory, and those it names, to bounds.

    Raises ImageInvalid, ImageTooLarge, and ImageUnsupported where Pillow and libtiff would read two different
    directories.
    """
    if data.startswith(b"MM\0+"):
        raise ImageUnsupported("BigTIFF in big-endian order is not supported; save it in little-endian order")
    for place, directory in enumerate(_directories(data)):
        _check_directory(directory, _MAX_TAGS)
        if place == 0:
            _check_tiles(directory.numbers, max_pixels)


def check_exif(block: bytes) -> None:
    """Hold an EXIF block, with or without its prefix, to bounds. Raises ImageInvalid."""
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
    most = max(_MAX_TILE_PIXELS, _TILE_SHARE * width * height)
    covered = -(-width // across) * across * -(-height // down) * down
    if across * down > most or covered > max(max_pixels, _MAX_TILE_PIXELS):
        raise ImageTooLarge(
            f"the TIFF has {width} x {height} pixels in tiles of {across} x {down}; save it with smaller "
            "tiles, or in strips"
        )


def _directories(data: bytes) -> Iterator[Directory]:
    """The first directory, and those that it and they name, each once."""
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
    """Read a directory as far as it lies in the file; values that don't are passed over, as by Pillow."""
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
    """One value, in its entry or, where it is too long, where the entry says; 0 where there is none."""
    form = f"{order}{_INTEGERS[kind]}"
    size = struct.calcsize(form)
    if size > inline:
        (at,) = struct.unpack_from(f"{order}I", data, at)
    return int(struct.unpack_from(form, data, at)[0]) if at + size <= len(data) else 0
