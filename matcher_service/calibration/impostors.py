"""Pairs of different persons: a face of each against a face of every other, counted by distance.

Distances are computed in float64 by blocks of rows, so that memory does not grow with the pairs and a
cancelled call ends between two blocks.
"""

import dataclasses
import heapq
from typing import Final

import numpy as np
import numpy.typing as npt

from matcher_service.calibration.error_rates import BIN, BINS, Impostors

ROWS_A_BLOCK: Final = 64
COLUMNS_A_TILE: Final = 2048  # a tile of distances takes 1 MiB and stays in the processor's cache

Vectors = npt.NDArray[np.float32]
Distances = npt.NDArray[np.float64]
Pair = tuple[float, int, int]
"""A distance and the two rows that it separates."""


@dataclasses.dataclass
class PairCounter:
    """Counts the pairs of `vectors`, float32 of shape (n, 128), a block of rows at a time.

    The `max_pairs` nearest pairs within `max_distance` are kept as likely duplicates.
    """

    vectors: Vectors
    max_distance: float
    max_pairs: int

    def __post_init__(self) -> None:
        self.impostors = Impostors.none()
        self._nearest: list[tuple[float, int, int]] = []  # a heap by negative distance: the farthest first

    @property
    def nearest(self) -> list[Pair]:
        """The pairs kept, nearest first."""
        return sorted((-negative, a, b) for negative, a, b in self._nearest)

    def count(self, first: int) -> None:
        """Count the rows from `first`, ROWS_A_BLOCK of them, against all others."""
        rows = self.vectors[first : first + ROWS_A_BLOCK].astype(np.float64)
        counts = np.zeros((len(rows), BINS), np.int64)
        for start in range(0, len(self.vectors), COLUMNS_A_TILE):
            columns = self.vectors[start : start + COLUMNS_A_TILE].astype(np.float64)
            distances = distances_between(rows, columns)
            counts += binned(distances)
            self._keep(distances, first, start)
        own = np.arange(len(rows))
        counts[own, 0] -= 1  # each row's pair with itself, at 0
        self.impostors = self.impostors.plus(Impostors.of_rows(counts))

    def _keep(self, distances: Distances, first: int, start: int) -> None:
        full = len(self._nearest) == self.max_pairs
        near = min(self.max_distance, -self._nearest[0][0]) if full else self.max_distance
        for a, b in np.argwhere(distances <= near).tolist():
            if start + b > first + a:  # once, from the smaller row
                entry = (-float(distances[a, b]), first + a, start + b)
                push = heapq.heappush if len(self._nearest) < self.max_pairs else heapq.heappushpop
                push(self._nearest, entry)


def distances_between(rows: Distances, columns: Distances) -> Distances:
    """Euclidean distances of shape (rows, columns): |a - b|² = |a|² + |b|² - 2ab."""
    squares = rows @ columns.T
    squares *= -2
    squares += np.einsum("ij,ij->i", rows, rows)[:, None]
    squares += np.einsum("ij,ij->i", columns, columns)
    np.maximum(squares, 0, out=squares)  # rounding may give less than 0 for nearly equal rows
    return np.sqrt(squares, out=squares)


def binned(distances: Distances) -> npt.NDArray[np.int64]:
    """The number of each row's distances in each bin, of shape (rows, BINS)."""
    rows = len(distances)
    bins = (distances / BIN).astype(np.int64)
    np.minimum(bins, BINS - 1, out=bins)
    bins += BINS * np.arange(rows)[:, None]
    counts: npt.NDArray[np.int64] = np.bincount(bins.ravel(), minlength=rows * BINS).reshape(rows, BINS)
    return counts
