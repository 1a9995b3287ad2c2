"""Error rates out of measured distances, with intervals that are of persons and not of pairs.

Two photos of one person are a genuine pair, two of different persons an impostor pair. At a threshold t the
false match rate FMR(t) is the share of impostor pairs at t or nearer, the false non-match rate FNMR(t) the
share of genuine pairs farther than t (ISO/IEC 19795-1; `far` and `frr` in names, as in the contract).

Pairs are not independent: each impostor pair has two persons, and a person is in many. So

- FNMR is the mean over persons of each one's share, and its variance that of the persons' shares;
- FMR is a U-statistic over persons, and its variance the jackknife's that leaves one person out at a time
  (Arvesen 1969), which the rows' sums give exactly;
- either variance gives the number of independent pairs that would have it (Kish's effective sample size), and
  the interval is Wilson's (1927) with that number.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from matcher_service.domain.proportion import Shares, wilson

BIN: Final = 0.005
BINS: Final = 400
"""Distances are counted in bins of this width, of which the last takes all that is farther."""

EVENTS: Final = 10
"""A rate is said to be supported where so many errors are to be expected among the pairs."""

MIN_PERSONS: Final = 20
"""Of fewer persons no interval is worth its name."""

MAX_PERSONS: Final = 50_000
"""Of more persons the sums of squares below would not fit into 64 bits."""

Counts = npt.NDArray[np.int64]


@dataclasses.dataclass(frozen=True)
class Rate:
    """A rate and its 95 % interval."""

    value: float
    low: float
    high: float


@dataclasses.dataclass(frozen=True)
class Point:
    """The rates at one threshold; FNMR is None where nobody has two faces."""

    threshold: float
    far: Rate
    frr: Rate | None


@dataclasses.dataclass(frozen=True, eq=False)
class Impostors:
    """Pairs of a face of each of `persons` with one of every other, by bin, in sums over the persons.

    `counts`, of shape (BINS,), has each pair twice, once for either person. `squares`, of shape (BINS - 1,),
    is for each threshold the sum of squares of how many pairs that near each person has, for the variance.
    """

    persons: int
    counts: Counts
    squares: Counts

    @classmethod
    def none(cls) -> Self:
        """No pair of nobody."""
        return cls(0, np.zeros(BINS, np.int64), np.zeros(BINS - 1, np.int64))

    @classmethod
    def of_rows(cls, rows: Counts) -> Self:
        """Some persons' pairs, a row a person: shape (persons, BINS)."""
        near = np.cumsum(rows, axis=1)[:, :-1]
        return cls(len(rows), rows.sum(axis=0), (near**2).sum(axis=0))

    def plus(self, more: "Impostors") -> "Impostors":
        """Both together."""
        return Impostors(self.persons + more.persons, self.counts + more.counts, self.squares + more.squares)

    @property
    def pairs(self) -> Counts:
        """Pairs by bin, each once."""
        halves: Counts = self.counts // 2
        return halves


@dataclasses.dataclass(frozen=True, eq=False)
class Sample:
    """What was measured.

    `genuine` is (p, BINS), the pairs of each person's own faces by bin. `impostor` are pairs of different
    persons.
    """

    genuine: Counts
    impostor: Impostors

    @property
    def genuine_pairs(self) -> int:
        """Pairs of two faces of one person."""
        return int(self.genuine.sum())

    @property
    def impostor_pairs(self) -> int:
        """Pairs of two faces of different persons."""
        return int(self.impostor.counts.sum()) // 2


def thresholds() -> npt.NDArray[np.float64]:
    """The thresholds at which rates are given: the upper edges of the bins but the last."""
    return np.round(BIN * np.arange(1, BINS), 6)


def needed_pairs(target: float) -> int:
    """Impostor pairs it takes to support a target FMR."""
    return math.ceil(EVENTS / target)


def needed_persons(pairs: int) -> int:
    """Persons it takes for so many pairs of different ones."""
    return math.ceil((1 + math.sqrt(1 + 8 * pairs)) / 2)


def curve(sample: Sample) -> list[Point]:
    """The rates at every threshold."""
    far = false_accepts(sample.impostor)
    frr: Sequence[Rate | None] = (
        false_rejects(sample.genuine) if len(sample.genuine) >= MIN_PERSONS else [None] * (BINS - 1)
    )
    return [Point(float(t), a, r) for t, a, r in zip(thresholds(), far, frr, strict=True)]


def false_accepts(impostor: Impostors) -> list[Rate]:
    """FMR at every threshold."""
    persons = impostor.persons
    near = np.cumsum(impostor.counts)[:-1]  # (thresholds,): over the persons, the pairs of each that near
    pairs = persons * (persons - 1) / 2
    value = near / 2 / pairs
    # The jackknife leaves a person out: what is left of the pairs that near differs from person to person as
    # the person's own do. Whole numbers, of which nothing is lost in the difference of the two sums.
    deviation = (persons * impostor.squares - near**2) / persons
    variance = (persons - 1) / persons * deviation / ((persons - 1) * (persons - 2) / 2) ** 2
    low, high = _interval(value, variance, least=persons / 2, most=pairs)
    # A larger threshold lets in no less: what bounds its rate bounds this one's, which matters where this one
    # saw no error.
    low, high = np.maximum.accumulate(low), np.minimum.accumulate(high[::-1])[::-1]
    return _rates(value, low, high)


def false_rejects(genuine: Counts) -> list[Rate]:
    """FNMR at every threshold, of rows as `Sample.genuine` has them; each row has a pair at least."""
    persons, pairs = len(genuine), genuine.sum(axis=1, keepdims=True)
    far_apart = 1 - np.cumsum(genuine, axis=1)[:, :-1] / pairs  # (p, thresholds): each person's share
    value = far_apart.mean(axis=0)
    variance = far_apart.var(axis=0, ddof=1) / persons
    low, high = _interval(value, variance, least=persons, most=float(pairs.sum()))
    # A larger threshold turns away no more.
    low, high = np.maximum.accumulate(low[::-1])[::-1], np.minimum.accumulate(high)
    return _rates(value, low, high)


def _rates(value: Shares, low: Shares, high: Shares) -> list[Rate]:
    return [Rate(*each) for each in zip(value.tolist(), low.tolist(), high.tolist(), strict=True)]


def _interval(value: Shares, variance: Shares, *, least: float, most: float) -> tuple[Shares, Shares]:
    """Wilson's interval by the effective number of pairs.

    Where no error was seen the variance says nothing, and `least`, the pairs that share no person, stands in.
    """
    spread = value * (1 - value)
    with np.errstate(divide="ignore", invalid="ignore"):
        effective = np.where((variance > 0) & (spread > 0), spread / variance, least)
    return wilson(value, np.clip(effective, least, most))


def largest_within(points: Sequence[Point], max_far: float) -> Point | None:
    """The point of the largest threshold whose FMR is at most that; None where the first is past it."""
    within = [point for point in points if point.far.value <= max_far]
    return within[-1] if within else None
