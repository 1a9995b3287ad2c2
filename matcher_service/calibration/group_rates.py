"""Error rates of groups of people, which of them differ, and whether one threshold serves all.

At one threshold each group has a false match rate among its own persons (FMR within) and a false non-match
rate, and each two groups a false match rate of pairs of a person of each (FMR between). Whether groups differ
is what ISO/IEC 19795-10 calls a demographic differential, for whatever the label says of people.

- The intervals are those of `error_rates`. FMR between two groups is a two-sample U-statistic; its variance
  is the jackknife's, which leaves out one person of either group at a time (Arvesen 1969): the sum of the
  variances of the means of both groups' persons.
- Two groups are called different if the interval of the difference of their rates, made of both rates'
  intervals (Newcombe 1998, method 10), does not contain 0. All pairs of groups, FMR and FNMR, are so many
  comparisons; each has the level that calls equal groups different in at most 5 of 100 calibrations over all
  of them (Bonferroni).
- One threshold does not serve if the FMR within a group exceeds the target, again in at most 5 of 100
  calibrations wrongly over all groups. It serves if the upper end of each group's 95 % interval is within the
  target: that each must be is as strict as one test of them (Berger 1982). Otherwise it is not known.
"""

import dataclasses
import enum
import itertools
from collections.abc import Sequence
from statistics import NormalDist
from typing import Final

import numpy as np

from matcher_service.calibration import error_rates
from matcher_service.calibration.error_rates import (
    BIN,
    MIN_PERSONS,
    Counts,
    Point,
    Rate,
    Sample,
    needed_pairs,
)
from matcher_service.domain.proportion import Z_95

ERROR: Final = 0.05
"""How often one or more of equal groups may be called different."""


class OneThreshold(enum.Enum):
    """Whether the FMR within every group is at most the target at one threshold."""

    SERVES = "serves"
    EXCEEDED = "exceeded"
    UNDECIDED = "undecided"


@dataclasses.dataclass(frozen=True, eq=False)
class GroupSample:
    """What was measured of a group.

    Attributes:
        value: The label's value; None: people without the label.
        persons: How many people of the collection are in it.
        sample: The pairs of its own people.
        near: Shape (drawn persons, groups): how many drawn persons of each group are within the threshold of
            each of its own.
        needs: What it takes to measure rates; "" if it has what it takes.
        needed_persons: How many persons that are.
    """

    value: str | None
    persons: int
    sample: Sample
    near: Counts
    needs: str
    needed_persons: int


@dataclasses.dataclass(frozen=True, eq=False)
class GroupRates:
    """A group's rates at the threshold in question, None where unsupported, and the threshold it would need.

    Attributes:
        measured: What they were measured on.
        fmr: FMR within the group.
        fnmr: FNMR.
        exceeds_target: Whether its FMR is more than the target.
        own: The largest threshold whose FMR within the group is at most the target, with the rates at it.
    """

    measured: GroupSample
    fmr: Rate | None
    fnmr: Rate | None
    exceeds_target: bool
    own: Point | None


@dataclasses.dataclass(frozen=True)
class GroupPairRates:
    """Two groups, by their numbers: FMR between them, and whether their own rates differ.

    None where it cannot be known.
    """

    a: int
    b: int
    fmr: Rate | None
    fmr_differs: bool | None
    fnmr_differs: bool | None


@dataclasses.dataclass(frozen=True, eq=False)
class GroupComparison:
    """The rates of groups at one threshold."""

    groups: Sequence[GroupRates]
    pairs: Sequence[GroupPairRates]
    one_threshold: OneThreshold


def compare(samples: Sequence[GroupSample], *, threshold: float, target_fmr: float) -> GroupComparison:
    """The rates of groups at a threshold, one of `error_rates.thresholds`, and which of them differ."""
    at = round(threshold / BIN) - 1
    curves = [None if each.needs else error_rates.curve(each.sample) for each in samples]
    simultaneous = _points(samples, at, sum(each is not None for each in curves))
    groups = []
    for measured, curve, strict in zip(samples, curves, simultaneous, strict=True):
        if curve is None or strict is None:
            groups.append(GroupRates(measured, None, None, exceeds_target=False, own=None))
            continue
        own = error_rates.largest_within(curve, target_fmr)
        exceeds = strict.fmr.low > target_fmr
        groups.append(GroupRates(measured, curve[at].fmr, curve[at].fnmr, exceeds, own))
    return GroupComparison(groups, _pairs(groups, at, target_fmr), _one(groups, target_fmr))


def between(a: Counts, b: Counts, *, z: float = Z_95) -> Rate:
    """FMR of pairs of a person of either of two groups.

    Args:
        a: Shape (n,): how many persons of the other group are within the threshold of each of the first.
        b: Shape (m,): the same of the other group, of the same sum.
        z: The normal distribution's two-sided quantile of the interval.
    """
    n, m = len(a), len(b)
    value = np.array(a.sum() / (n * m))
    variance = (a / m).var(ddof=1) / n + (b / n).var(ddof=1) / m
    low, high = error_rates.interval(value, variance, least=min(n, m), most=n * m, z=z)
    return Rate(float(value), float(low), float(high))


def differ(a: Rate, b: Rate) -> bool:
    """Whether two rates differ, by their intervals; the level is that of the intervals."""
    smaller, larger = (a, b) if a.value <= b.value else (b, a)
    squares = (smaller.high - smaller.value) ** 2 + (larger.value - larger.low) ** 2
    return bool(larger.value - smaller.value > squares**0.5)


def _points(samples: Sequence[GroupSample], at: int, comparisons: int) -> list[Point | None]:
    """The rates of each group at the threshold of that number; the intervals are for so many comparisons."""
    z = NormalDist().inv_cdf(1 - ERROR / (2 * max(1, comparisons)))
    return [None if each.needs else error_rates.curve(each.sample, z=z)[at] for each in samples]


def _pairs(groups: Sequence[GroupRates], at: int, target_fmr: float) -> list[GroupPairRates]:
    both = list(itertools.combinations(range(len(groups)), 2))
    samples = [each.measured for each in groups]
    comparisons = sum(
        rates[a] is not None and rates[b] is not None
        for rates in ([each.fmr for each in groups], [each.fnmr for each in groups])
        for a, b in both
    )
    points = _points(samples, at, comparisons)
    fmr = [point.fmr if point else None for point in points]
    fnmr = [point.fnmr if point else None for point in points]
    return [
        GroupPairRates(
            a,
            b,
            _between(samples[a].near[:, b], samples[b].near[:, a], target_fmr),
            _differ(fmr[a], fmr[b]),
            _differ(fnmr[a], fnmr[b]),
        )
        for a, b in both
    ]


def _differ(a: Rate | None, b: Rate | None) -> bool | None:
    return None if a is None or b is None else differ(a, b)


def _between(a: Counts, b: Counts, target_fmr: float) -> Rate | None:
    supported = min(len(a), len(b)) >= MIN_PERSONS and len(a) * len(b) >= needed_pairs(target_fmr)
    return between(a, b) if supported else None


def _one(groups: Sequence[GroupRates], target_fmr: float) -> OneThreshold:
    if any(each.exceeds_target for each in groups):
        return OneThreshold.EXCEEDED
    if all(each.fmr and each.fmr.high <= target_fmr for each in groups):
        return OneThreshold.SERVES
    return OneThreshold.UNDECIDED
