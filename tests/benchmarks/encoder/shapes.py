"""Image files of random structure: how many parts, how large, how long and narrow, and how many boxes."""

import random
from collections.abc import Callable, Sequence
from typing import Final

import facerec.encoder.v1 as pb
from tests.fixtures import structures

_MAX_BOXES: Final = 1000


def some(chance: random.Random, max_pixels: int) -> bytes:
    """A file with up to four times the parts that are accepted, or of up to `max_pixels`."""
    if chance.random() < 0.5:
        make, most, _ = chance.choice(list(structures.COUNTED.values()))
        return make(int(most * 2 ** chance.uniform(-6, 2)))
    return chance.choice(_SIZED)(chance, max_pixels)


def boxes(chance: random.Random) -> list[pb.BoundingBox]:
    """Boxes about as large as pictures are, as many as there may be."""
    found = []
    for _ in range(int(_MAX_BOXES ** chance.random())):
        left, top, side = (int(2 ** chance.uniform(0, 12)) for _ in range(3))
        found.append(pb.BoundingBox(top=top - 1, left=left - 1, bottom=top + side, right=left + side))
    return found


def _size(chance: random.Random, max_pixels: int) -> tuple[int, int]:
    """A width and a height of any proportion."""
    pixels = int(max_pixels ** chance.uniform(0.5, 1))
    width = max(1, int(pixels ** chance.random()))
    return width, max(1, pixels // width)


def _side(chance: random.Random, max_pixels: int) -> int:
    return int(max_pixels ** chance.uniform(0.25, 0.5))


def _png(chance: random.Random, max_pixels: int) -> bytes:
    return structures.png(
        *_size(chance, max_pixels), bits=chance.choice((8, 16)), color=chance.choice((0, 2, 6))
    )


def _scans(chance: random.Random, max_pixels: int) -> bytes:
    scans = int(2 ** chance.uniform(1, 8))
    return structures.jpeg_scans_of_no_bytes(_side(chance, max_pixels), scans, chance.choice((0xC2, 0xCA)))


def _tiles(chance: random.Random, max_pixels: int) -> bytes:
    width, height = _size(chance, max_pixels // 16)
    tile = (16 * max(1, int(2 ** chance.uniform(0, 8))) for _ in range(2))
    return structures.tiff_tiles(min(width, 5000), min(height, 5000), *tile)


def _strips(chance: random.Random, max_pixels: int) -> bytes:
    side = min(_side(chance, max_pixels), 1000)
    rows = int(2 ** chance.uniform(4, 10))
    if chance.random() < 0.5:
        return structures.tiff_strips(side, side, rows)
    return structures.tiff_jpeg_scans(side, rows, int(2 ** chance.uniform(3, 7)))


def _lines(chance: random.Random, max_pixels: int) -> bytes:
    return structures.bmp_lines(_side(chance, max_pixels))


_SIZED: Final[Sequence[Callable[[random.Random, int], bytes]]] = (_png, _scans, _tiles, _strips, _lines)
