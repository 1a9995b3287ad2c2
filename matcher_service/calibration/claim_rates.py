"""Error rates of claims of several photos, by each rule that scores them.

Of each measured person some photos are a claim and the others are as stored. A claim against its own person
is a genuine trial, and one against any other person an impostor trial: n persons make n (n - 1) of these. FMR
is their share within a threshold. Its variance is the jackknife's that leaves a person out, with the trials
of that person's claim and those against that person's photos (Arvesen 1969), as in error_rates.
"""

import asyncio
import dataclasses
import functools
import itertools
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from facerec.contract import DIMENSIONS
from matcher_service.calibration import error_rates
from matcher_service.calibration.error_rates import (
    BIN,
    BINS,
    MIN_PERSONS,
    Point,
    Rate,
    largest_within,
    needed_pairs,
    needed_persons,
)
from matcher_service.calibration.support import Target
from matcher_service.domain.errors import CalibrationUnsupported
from matcher_service.domain.faces import ScoreRule
from matcher_service.domain.proportion import wilson
from matcher_service.postgres.database import YIELD_SECONDS, Session
from matcher_service.postgres.short_requests import ShortRequests
from matcher_service.postgres.vectors import read_vectors

MAX_PHOTOS: Final = 5
MAX_PERSONS: Final = 5000  # of whom up to MAX_STORED photos each are in memory
MAX_STORED: Final = 10
_PERSONS_A_STATEMENT: Final = 200
_ROWS_A_BLOCK: Final = 32

Vectors = npt.NDArray[np.float32]
Distances = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class ClaimRates:
    """The rates of claims of so many photos by a rule, at the largest threshold within the target."""

    rule: ScoreRule
    photos: int
    point: Point
    persons: int


@dataclasses.dataclass(frozen=True, eq=False)
class Claims:
    """Claims, float32 of shape (n, photos, 128), and the other photos, (faces, 128), of those persons.

    The photos of person i are the rows of `stored` from starts[i] to before starts[i + 1].
    """

    claimed: Vectors
    stored: Vectors
    starts: npt.NDArray[np.int64]

    def score(self, rule: ScoreRule, photos: int, first: int, end: int) -> Distances:
        """The distances by a rule of claims `first` to before `end`, of `photos` photos each, from everybody:
        (claims, persons).
        """
        claimed = self.claimed[first:end, :photos]
        mean = claimed.mean(axis=1)
        spread = np.mean(np.sum((claimed - mean[:, None]).astype(np.float64) ** 2, axis=2), axis=1)
        squares = -2.0 * (mean @ self.stored.T).astype(np.float64)
        squares += np.einsum("ij,ij->i", mean, mean, dtype=np.float64)[:, None]
        squares += self._stored_squares
        np.maximum(squares, 0, out=squares)  # rounding may give less than 0 for nearly equal rows
        if rule is ScoreRule.NEAREST:
            scored = np.minimum.reduceat(squares, self.starts[:-1], axis=1)
        else:
            scored = np.add.reduceat(squares, self.starts[:-1], axis=1) / np.diff(self.starts)
        return np.asarray(np.sqrt(scored + spread[:, None]), np.float64)

    @functools.cached_property
    def _stored_squares(self) -> Distances:
        return np.asarray(np.einsum("ij,ij->i", self.stored, self.stored, dtype=np.float64))


async def measure(
    session: Session, short_requests: ShortRequests, target: Target
) -> tuple[list[ClaimRates], Point | None]:
    """The rates of claims of 1 to target.photos photos by each rule, and the point for the target's rule.

    Raises CalibrationUnsupported if too few persons have enough photos, or if no threshold meets the target.
    """
    claims = await _draw(session, target)
    found = []
    for rule in ScoreRule:
        for photos in range(1, target.photos + 1):
            counter = ClaimCounter(claims, rule, photos)
            for first in range(0, len(claims.claimed), _ROWS_A_BLOCK):
                await short_requests.wait_until_idle(YIELD_SECONDS)
                await asyncio.to_thread(counter.count, first)
            point = largest_within(await asyncio.to_thread(counter.curve), target.fmr)
            if point is None:
                raise CalibrationUnsupported(
                    f"more than {target.fmr:g} of the claims are nearly as near to different persons: merge "
                    "people who are enrolled under several ids, which ListDuplicates finds"
                )
            found.append(ClaimRates(rule, photos, point, len(claims.claimed)))
    chosen = [each.point for each in found if each.rule.value == target.score_rule and each.photos == 1]
    return found, chosen[0] if chosen else None


class ClaimCounter:
    """Counts the trials of claims by distance, a block of claims at a time."""

    def __init__(self, claims: Claims, rule: ScoreRule, photos: int) -> None:
        self._claims, self._rule, self._photos = claims, rule, photos
        persons = len(claims.claimed)
        self._genuine = np.zeros(BINS, np.int64)
        self._trials = np.zeros((persons, BINS), np.int32)  # with the person as either side

    def count(self, first: int) -> None:
        """Count the claims from `first`, _ROWS_A_BLOCK of them."""
        persons = len(self._claims.claimed)
        end = min(first + _ROWS_A_BLOCK, persons)
        distances = self._claims.score(self._rule, self._photos, first, end)
        bins = np.minimum(distances / BIN, BINS - 1).astype(np.int64)
        rows = np.arange(end - first)
        own = bins[rows, first + rows]
        np.add.at(self._genuine, own, 1)
        for place, each in enumerate(bins, first):
            self._trials[place] += np.bincount(each, minlength=BINS)
        np.add.at(self._trials, (np.arange(persons), bins), 1)
        np.subtract.at(self._trials, (first + rows, own), 2)

    def curve(self) -> list[Point]:
        """The rates at every threshold."""
        persons = len(self._trials)
        near = np.cumsum(self._trials, axis=1, dtype=np.int64)[:, :-1].astype(np.float64)
        trials = persons * (persons - 1.0)
        fmr = near.sum(axis=0) / 2 / trials
        variance = (persons - 1) / persons * np.sum((near - near.mean(axis=0)) ** 2, axis=0)
        variance /= ((persons - 1.0) * (persons - 2.0)) ** 2
        fmr_low, fmr_high = error_rates.rising_interval(fmr, variance, least=persons / 2, most=trials)
        fnmr = 1 - np.cumsum(self._genuine)[:-1] / persons
        fnmr_low, fnmr_high = wilson(fnmr, np.full(BINS - 1, float(persons)))
        columns = (error_rates.thresholds(), fmr, fmr_low, fmr_high, fnmr, fnmr_low, fnmr_high)
        return [
            Point(t, Rate(a, b, c), Rate(d, e, f))
            for t, a, b, c, d, e, f in zip(*(column.tolist() for column in columns), strict=True)
        ]


async def _draw(session: Session, target: Target) -> Claims:
    rows = await session.rows("draw_claimants", max_persons=target.persons, photos=target.photos)
    keys = [row["person_key"] for row in rows]
    _check_support(len(keys), target)
    claimed, stored, counts = [], [], []
    for first in range(0, len(keys), _PERSONS_A_STATEMENT):
        rows = await session.rows(
            "read_claim_faces",
            person_keys=keys[first : first + _PERSONS_A_STATEMENT],
            max_faces=target.photos + MAX_STORED,
        )
        vectors = read_vectors([row["encoding"] for row in rows])
        person_keys = np.array([row["person_key"] for row in rows])
        edges = [0, *(np.flatnonzero(np.diff(person_keys)) + 1), len(rows)]
        for start, end in itertools.pairwise(edges):
            if end - start > target.photos:  # else faces were erased meanwhile
                claimed.append(vectors[start : start + target.photos])
                stored.append(vectors[start + target.photos : end])
                counts.append(end - start - target.photos)
    _check_support(len(counts), target)
    starts = np.concatenate([[0], np.cumsum(counts)])
    return Claims(np.array(claimed, np.float32), np.concatenate(stored).reshape(-1, DIMENSIONS), starts)


def _check_support(persons: int, target: Target) -> None:
    pairs, needed_faces = needed_pairs(target.fmr), target.photos + 1
    needed = max(MIN_PERSONS, needed_persons(pairs))
    if persons >= needed:
        return
    advice = "enroll more photos of more people"
    if persons == target.persons:
        advice = f"set max_persons to {needed}, if the collection has as many"
    if needed > MAX_PERSONS:
        advice = f"ask for a larger target_fmr, as claims of at most {MAX_PERSONS} persons are measured"
    raise CalibrationUnsupported(
        f"claims of {target.photos} photos at a false match rate of {target.fmr:g} require {needed} persons "
        f"with {needed_faces} faces or more; {persons} were measured: {advice}",
        metadata={
            "pairs": str(persons * (persons - 1) // 2),
            "needed_pairs": str(pairs),
            "persons": str(persons),
            "needed_persons": str(needed),
            "needed_faces": str(needed_faces),
        },
    )


def summary(found: Sequence[ClaimRates]) -> list[dict[str, object]]:
    """What is stored of rates as evidence."""
    return [
        {
            "rule": each.rule.value,
            "photos": each.photos,
            "persons": each.persons,
            **dataclasses.asdict(each.point),
        }
        for each in found
    ]
