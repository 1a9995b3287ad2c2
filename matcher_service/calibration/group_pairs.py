"""Pairs of persons within groups and between them, counted by distance."""

import itertools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from matcher_service.calibration.error_rates import BIN, BINS, Counts, Impostors
from matcher_service.calibration.impostors import COLUMNS_A_TILE, Vectors, binned, distances_between


class GroupPairCounter:
    """Counts the pairs of one face each of the persons of several groups.

    Attributes:
        within: For each group the pairs of its own persons.
        near: Shape (persons, groups), int64, the groups' persons one group after another: how many persons of
            each group, other than itself, are within the threshold of a person.
    """

    def __init__(self, groups: Sequence[Vectors], threshold: float) -> None:
        """Prepare to count.

        Args:
            groups: For each group the vectors of its persons, float32 of shape (n, 128).
            threshold: The upper edge of a bin.
        """
        self._groups = groups
        self._bins_within = round(threshold / BIN)
        self._starts = list(itertools.accumulate(map(len, groups), initial=0))
        self.within = [Impostors.none() for _ in groups]
        self.near: Counts = np.zeros((self._starts[-1], len(groups)), np.int64)

    def near_of(self, group: int) -> Counts:
        """The rows of `near` of one group's persons."""
        return self.near[self._starts[group] : self._starts[group + 1]]

    def count(self, group: int, first: int, rows: int) -> None:
        """Count so many of a group's persons, from its number `first` on, against all persons."""
        vectors = self._groups[group][first : first + rows].astype(np.float64)
        at = self._starts[group] + first
        for other, columns in enumerate(self._groups):
            counts = _counted(vectors, columns)
            if other == group:
                counts[:, 0] -= 1  # each person's pair with itself, at 0
                self.within[group] = self.within[group].plus(Impostors.of_rows(counts))
            self.near[at : at + len(vectors), other] = counts[:, : self._bins_within].sum(axis=1)


def _counted(rows: npt.NDArray[np.float64], vectors: Vectors) -> Counts:
    """How many of the vectors are at which distance of each row, by bin: shape (rows, BINS)."""
    counts = np.zeros((len(rows), BINS), np.int64)
    for start in range(0, len(vectors), COLUMNS_A_TILE):
        columns = vectors[start : start + COLUMNS_A_TILE].astype(np.float64)
        counts += binned(distances_between(rows, columns))
    return counts
