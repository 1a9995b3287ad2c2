"""False positive and false negative identification rates (ISO/IEC 19795-1), from the nearest faces of probes.

FPIR(N, T) is the share of searches by non-mated probes that return anybody: whose nearest face of another
person is within the threshold T, among the N faces of a collection. FNIR(N, R, T) is the share of searches by
mated probes that do not return the person: here with no limit R of the rank, so a probe is missed if its own
person's nearest other face is farther than T.

FPIR is counted, and not derived from FMR: 1 - (1 - FMR)^N would hold if all probes were alike and all
comparisons independent, but some people look like many others and most like nobody.

Each probe is a person of the collection, searched for among all others. So if two persons are each other's
nearest, both are false positives at once. Hits that share a person, directly or by other hits, therefore
count as one observation: from the squares of the sizes of such clusters follows the variance (Kish's
effective sample size), and the interval is Wilson's for the number of independent probes that would have it.
At the rates that are measured here clusters are of a few hits. Mated probes are independent persons.
"""

import collections
import dataclasses
import math
from typing import Final

import numpy as np
import numpy.typing as npt

from matcher_service.calibration.error_rates import EVENTS, MIN_PERSONS, Rate, interval, thresholds
from matcher_service.domain.proportion import Proportion

TARGET_FPIRS: Final = (3e-3, 1e-3)
"""The rates at which NIST's reports of identification give FNIR."""

Keys = npt.NDArray[np.int64]
Distances = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True, eq=False)
class NearestFaces:
    """Of each probe, one for a person, what is nearest to it. All of shape (probes,).

    Attributes:
        person_keys: Whose face the probe is.
        others: The distance of the nearest face of another person; infinite where there is none.
        other_keys: Whose face that is.
        own: The distance of the nearest other face of the same person; infinite where there is none.
    """

    person_keys: Keys
    others: Distances
    other_keys: Keys
    own: Distances


@dataclasses.dataclass(frozen=True)
class SearchPoint:
    """The largest threshold whose FPIR is at most the target, and the rates at it.

    `needs` says what it takes if there is none. `fnir` is None if too few people have two faces.
    """

    target_fpir: float
    threshold: float | None = None
    fpir: Rate | None = None
    fnir: Rate | None = None
    needs: str = ""


def needed_probes(target_fpir: float) -> int:
    """How many non-mated probes support a target FPIR."""
    return math.ceil(EVENTS / target_fpir)


def search_point(found: NearestFaces, target_fpir: float) -> SearchPoint:
    """The threshold for a target FPIR, from as many probes as `needed_probes` or more."""
    within = np.searchsorted(np.sort(found.others), thresholds(), side="right") / len(found.others)
    number = int(np.searchsorted(within, target_fpir, side="right")) - 1
    if number < 0:
        return SearchPoint(
            target_fpir,
            needs=f"more than {target_fpir:g} of the persons have nearly the same face as another, so people "
            "are probably enrolled under several ids: merge those that ListDuplicates finds",
        )
    threshold = float(thresholds()[number])
    return SearchPoint(target_fpir, threshold, _fpir(found, threshold), _fnir(found.own, threshold))


def _fpir(found: NearestFaces, threshold: float) -> Rate:
    probes = len(found.others)
    hits = found.others <= threshold
    value = np.array(hits.mean())
    squares = sum(size**2 for size in _clusters(found.person_keys[hits], found.other_keys[hits]))
    variance = squares / probes**2 - value**2 / probes
    low, high = interval(value, variance, least=probes / 2, most=probes)
    return Rate(float(value), float(low), float(high))


def _clusters(persons: Keys, others: Keys) -> list[int]:
    """How many hits share persons, directly or by other hits; a hit is of a person and another."""
    leader: dict[int, int] = {}

    def find(person: int) -> int:
        while (above := leader.setdefault(person, person)) != person:
            person = above
        return person

    for person, other in zip(persons.tolist(), others.tolist(), strict=True):
        leader[find(person)] = find(other)
    return list(collections.Counter(map(find, persons.tolist())).values())


def _fnir(own: Distances, threshold: float) -> Rate | None:
    mated = own[np.isfinite(own)]
    if len(mated) < MIN_PERSONS:
        return None
    share = Proportion(int((mated > threshold).sum()), len(mated))
    return Rate(share.value, *share.interval)
