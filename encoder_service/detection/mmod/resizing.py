"""dlib's bilinear resize, bit for bit where that decides a pixel.

dlib samples a row four columns at a time in float32, whose positions drift from the true ones by
thousandths of a pixel, and its last few columns in double (dlib/image_transforms/interpolation.h).
The order of the sums is kept too, as an enlarged image is truncated to whole numbers.
"""

import dataclasses
import functools
from typing import Final

import numpy as np
import numpy.typing as npt

Planes = npt.NDArray[np.float32]
"""Colour planes (3, height, width)."""

_LANES: Final = 4
_STRIP_VALUES: Final = 1 << 15  # of one plane, so that a strip's data stays in a core's L2 cache


@dataclasses.dataclass(frozen=True, eq=False)
class Samples:
    """For each sample along one axis: the two pixels it lies between and the weight of the second.

    From `exact_from` on dlib computes in double.
    """

    first: npt.NDArray[np.intp]
    second: npt.NDArray[np.intp]
    second_weight: npt.NDArray[np.float64]
    weights: tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]
    """Of both, in float32."""
    exact_from: int


def resize(planes: Planes, height: int, width: int) -> Planes:
    """Return the planes in another size, corner on corner. Holds the GIL only between array operations."""
    return _resize(planes, height, width, truncate=False)


def double(planes: Planes) -> Planes:
    """Return planes of whole numbers enlarged as by dlib's pyramid_up, truncated to whole numbers."""
    _, height, width = planes.shape
    return _resize(planes, 2 * height + 1, 2 * width + 2, truncate=True)


def _resize(planes: Planes, height: int, width: int, *, truncate: bool) -> Planes:
    rows = _sample_rows(planes.shape[1], height)
    columns = _sample_columns(planes.shape[2], width)
    left = planes.take(columns.first, axis=2, mode="clip")
    right = planes.take(columns.second, axis=2, mode="clip")
    result = np.empty((len(planes), height, width), dtype=np.float32)
    strip = max(1, _STRIP_VALUES // width)
    for begin in range(0, height, strip):
        part = slice(begin, begin + strip)
        quick = _blend(left, right, rows, columns, part)
        exact = _blend_exactly(left, right, rows, columns, part)
        result[:, part] = np.trunc(quick, out=quick) if truncate else quick
        result[:, part, columns.exact_from :] = np.trunc(exact) if truncate else exact
    return result


def _blend(left: Planes, right: Planes, rows: Samples, columns: Samples, part: slice) -> Planes:
    """Return a strip of rows, blended in float32 in dlib's order of operations."""
    top, bottom = rows.first[part], rows.second[part]
    top_weight, bottom_weight = (weight[part, None] for weight in rows.weights)
    left_weight, right_weight = columns.weights
    result = left.take(top, axis=1, mode="clip")
    result *= top_weight * left_weight
    for pixels, row, weight in (
        (right, top, top_weight * right_weight),
        (left, bottom, bottom_weight * left_weight),
        (right, bottom, bottom_weight * right_weight),
    ):
        corner = pixels.take(row, axis=1, mode="clip")
        corner *= weight
        result += corner
    return result


def _blend_exactly(
    left: Planes, right: Planes, rows: Samples, columns: Samples, part: slice
) -> npt.NDArray[np.float64]:
    """Return the last columns of a strip of rows, blended in double."""
    tail = slice(columns.exact_from, None)
    top, bottom = rows.first[part], rows.second[part]
    down, across = rows.second_weight[part, None], columns.second_weight[tail]
    upper = (1 - across) * left[:, top, tail] + across * right[:, top, tail]
    lower = (1 - across) * left[:, bottom, tail] + across * right[:, bottom, tail]
    blended: npt.NDArray[np.float64] = (1 - down) * upper + down * lower
    return blended


@functools.lru_cache(maxsize=1024)
def _sample_rows(source: int, target: int) -> Samples:
    scale = (source - 1) / max(target - 1, 1)
    return _samples(_accumulate(-scale, scale, target), source, exact_from=target)


@functools.lru_cache(maxsize=1024)
def _sample_columns(source: int, target: int) -> Samples:
    scale = (source - 1) / max(target - 1, 1)
    begin = np.array([-_LANES * scale + lane * scale for lane in range(_LANES)], dtype=np.float32)
    steps = np.full((target // _LANES + 2, _LANES), _LANES * scale, dtype=np.float32)
    steps[0] = begin
    lanes = np.add.accumulate(steps, axis=0)[1:]
    outside = np.flatnonzero(lanes[:, -1].astype(np.intp) + 1 >= source)
    quick = min(_LANES * int(outside[0]), target) if len(outside) else target
    positions = lanes.reshape(-1)[:quick].astype(np.float64)
    tail = _accumulate(-scale + quick * scale, scale, target - quick)
    return _samples(np.concatenate([positions, tail]), source, exact_from=quick)


def _accumulate(begin: float, step: float, count: int) -> npt.NDArray[np.float64]:
    steps = np.full(count + 1, step)
    steps[0] = begin
    return np.add.accumulate(steps)[1:]


def _samples(positions: npt.NDArray[np.float64], source: int, *, exact_from: int) -> Samples:
    first = np.floor(positions).astype(np.intp)
    weight = positions - first
    return Samples(
        first=first,
        second=np.minimum(first + 1, source - 1),
        second_weight=weight,
        weights=((1 - weight).astype(np.float32), weight.astype(np.float32)),
        exact_from=exact_from,
    )
