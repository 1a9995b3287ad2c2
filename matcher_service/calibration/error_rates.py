"""Error rates from measured distances, with confidence intervals over persons rather than pairs.

Two photos of one person are a genuine pair, two of different persons an impostor pair. At a threshold t the
false match rate FMR(t) is the share of impostor pairs at t or nearer, the false non-match rate FNMR(t) the
share of genuine pairs farther than t (ISO/IEC 19795-1).

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

from matcher_service.domain.proportion import Z_95, Shares, wilson

BIN: Final = 0.005
BINS: Final = 400
"""Distances are counted in bins of this width; the last bin has all larger ones."""

EVENTS: Final = 10
"""A rate is supported if at least so many errors are expected among the pairs."""

MIN_PERSONS: Final = 20
"""With fewer persons the intervals are not meaningful."""

MAX_PERSONS: Final = 50_000
"""With more persons the sums of squares below would overflow 64 bits."""

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
    fmr: Rate
    fnmr: Rate | None


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
        """No persons and no pairs."""
        return cls(0, np.zeros(BINS, np.int64), np.zeros(BINS - 1, np.int64))

    @classmethod
    def of_rows(cls, rows: Counts) -> Self:
        """Sum some persons' pairs, one row per person: shape (persons, BINS)."""
        near = np.cumsum(rows, axis=1)[:, :-1]
        return cls(len(rows), rows.sum(axis=0), (near**2).sum(axis=0))

    def plus(self, more: "Impostors") -> "Impostors":
        """The sums of both."""
        return Impostors(self.persons + more.persons, self.counts + more.counts, self.squares + more.squares)

    @property
    def pairs(self) -> Counts:
        """Pairs by bin, each once."""
        halves: Counts = self.counts // 2
        return halves


@dataclasses.dataclass(frozen=True, eq=False)
class Sample:
    """The measured pairs.

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
    """The number of impostor pairs that supports a target FMR."""
    return math.ceil(EVENTS / target)


def needed_persons(pairs: int) -> int:
    """The number of persons who form that many pairs."""
    return math.ceil((1 + math.sqrt(1 + 8 * pairs)) / 2)


def curve(sample: Sample, *, z: float = Z_95) -> list[Point]:
    """The rates at every threshold, with intervals for the normal quantile `z`, two-sided."""
    fmr = false_match_rates(sample.impostor, z=z)
    fnmr: Sequence[Rate | None] = (
        false_non_match_rates(sample.genuine, z=z)
        if len(sample.genuine) >= MIN_PERSONS
        else [None] * (BINS - 1)
    )
    return [Point(float(t), a, r) for t, a, r in zip(thresholds(), fmr, fnmr, strict=True)]


def false_match_rates(impostor: Impostors, *, z: float = Z_95) -> list[Rate]:
    """FMR at every threshold, with intervals for `z`."""
    persons = impostor.persons
    near = np.cumsum(impostor.counts)[:-1]  # (thresholds,): over the persons, the pairs of each that near
    pairs = persons * (persons - 1) / 2
    value = near / 2 / pairs
    # The jackknife leaves a person out: what is left of the pairs that near differs from person to person as
    # the person's own do. The sums are integers, so their difference is exact.
    deviation = (persons * impostor.squares - near**2) / persons
    variance = (persons - 1) / persons * deviation / ((persons - 1) * (persons - 2) / 2) ** 2
    low, high = rising_interval(value, variance, least=persons / 2, most=pairs, z=z)
    return _rates(value, low, high)


def false_non_match_rates(genuine: Counts, *, z: float = Z_95) -> list[Rate]:
    """FNMR at every threshold, from rows as in `Sample.genuine`, each with at least one pair."""
    persons, pairs = len(genuine), genuine.sum(axis=1, keepdims=True)
    far_apart = 1 - np.cumsum(genuine, axis=1)[:, :-1] / pairs  # (p, thresholds): each person's share
    value = far_apart.mean(axis=0)
    variance = far_apart.var(axis=0, ddof=1) / persons
    low, high = interval(value, variance, least=persons, most=float(pairs.sum()), z=z)
    # FNMR falls as the threshold grows.
    low, high = np.maximum.accumulate(low[::-1])[::-1], np.minimum.accumulate(high)
    return _rates(value, low, high)


def _rates(value: Shares, low: Shares, high: Shares) -> list[Rate]:
    return [Rate(*each) for each in zip(value.tolist(), low.tolist(), high.tolist(), strict=True)]


def rising_interval(
    value: Shares, variance: Shares, *, least: float, most: float, z: float = Z_95
) -> tuple[Shares, Shares]:
    """`interval` of a rate that grows with the threshold, of shape (thresholds,), as FMR does.

    Bounds of a larger threshold also hold for a smaller one, which matters without an observed error.
    """
    low, high = interval(value, variance, least=least, most=most, z=z)
    return np.maximum.accumulate(low), np.minimum.accumulate(high[::-1])[::-1]


def interval(
    value: Shares, variance: Shares, *, least: float, most: float, z: float = Z_95
) -> tuple[Shares, Shares]:
    """Wilson's interval by the effective number of pairs, from `least` to `most`.

    Without an observed error the variance is 0; `least`, the number of pairs that share no person, is used
    then. `z` is as in `wilson`.
    """
    spread = value * (1 - value)
    with np.errstate(divide="ignore", invalid="ignore"):
        effective = np.where((variance > 0) & (spread > 0), spread / variance, least)
    return wilson(value, np.clip(effective, least, most), z=z)


def largest_within(points: Sequence[Point], max_fmr: float) -> Point | None:
    """The point of the largest threshold whose FMR is at most `max_fmr`; None if there is none."""
    within = [point for point in points if point.fmr.value <= max_fmr]
    return within[-1] if within else None
