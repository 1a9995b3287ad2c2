"""How a claim of several photos, and a person's several stored photos, are best scored: `make bench-scores`.

A claim of m photos against a person of n stored photos has m x n distances, and a rule makes one of them. For
each rule the false non-match rate (FNMR) at thresholds of given false match rates (FMR), and the FMR at the
threshold that gives one of 1e-4 with a photo each: a rule whose FMR does not rise with more photos can keep
its threshold.

The populations are generated (tests/benchmarks/vectors.py), and differ in what a mean is good or bad at:

- `independent`: photos of a person differ by chance alone. A model that favours means.
- `occasion`: photos of one claim share half of the variance by which they differ from the person's mean, as
  those taken within a minute do.
- `looks`: every person has two looks, 0.3 to 0.7 apart; a stored photo is of either, a claim is of one.
- `isotropic`: the population of tests/benchmarks/calibration.py, where some people scatter more than others.
"""

import argparse
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from tests.benchmarks import calibration
from tests.benchmarks.encoder.tables import table
from tests.benchmarks.vectors import Dataset, Vectors

STORED = (1, 2, 3, 5, 10)
CLAIMED = (1, 2, 3, 5)
FMRS = (1e-3, 1e-4, 1e-5, 1e-6)
KINDS = ("independent", "occasion", "looks", "isotropic")
SHARED = 0.5  # of the variance of photos of one occasion
LOOKS_APART = (0.3, 0.7)
MEDIANS = {(3, 1), (1, 3), (3, 3)}  # numbers of photos for which a median is computed: it takes longest
BIN, BINS = 0.0005, 1600  # farther distances are counted in the last bin
GENUINE = 8192  # persons of a population whose claims are their own
ROWS = 16  # claims of a block of distances
STUDENT = {2: 12.7, 3: 4.30, 4: 3.18, 5: 2.78, 6: 2.57, 8: 2.36, 10: 2.26}  # 95 %, by populations

Distances = npt.NDArray[Any]
Counts = npt.NDArray[np.int64]
Key = tuple[str, int, int]
"""A rule, and the photos of a person and of a claim."""


@dataclass(frozen=True)
class Photos:
    """Stored photos, (persons, n, dimensions), and a claim of each person, (persons, m, dimensions)."""

    stored: Vectors
    claimed: Vectors


@dataclass(frozen=True)
class People(Dataset):
    """Generated people whose photos share an occasion or a look."""

    shared: float = field(default=0.0, kw_only=True)
    looks: bool = field(default=False, kw_only=True)

    def drawn(self, block: int) -> Photos:
        """The stored photos and the claims of a block of people."""
        random = self._random(7, block)
        identities = self._identities(block)[: self.people, None]
        stored = np.repeat(identities, STORED[-1], axis=1)
        claimed = np.repeat(identities, CLAIMED[-1], axis=1)
        if self.looks:
            others = self._identities(block + 500)[: self.people, None]
            apart = random.uniform(*LOOKS_APART, (self.people, 1, 1))
            other = (others - identities) * apart / np.linalg.norm(others - identities, axis=2, keepdims=True)
            stored = stored + other * random.integers(0, 2, (self.people, STORED[-1], 1))
            claimed = claimed + other * random.integers(0, 2, (self.people, 1, 1))
        return Photos(self._taken(stored, 0.0, random), self._taken(claimed, self.shared, random))

    def _taken(self, looks: Vectors, shared: float, random: np.random.Generator) -> Vectors:
        """Photos of looks, (people, photos, 128), with a share of their variance in common."""
        flat = looks.reshape(-1, looks.shape[-1]).astype(np.float32)
        if not shared:
            return self._photographed(flat, random).reshape(looks.shape)
        _, _, photo = self._basis
        common = random.standard_normal((len(looks), 1, looks.shape[-1]), np.float32) @ photo
        own = random.standard_normal(looks.shape, np.float32) @ photo
        faces = looks + np.sqrt(shared) * common + np.sqrt(1 - shared) * own
        norms = random.normal(1.43, 0.02, (*looks.shape[:2], 1))
        return np.asarray(faces * (norms / np.linalg.norm(faces, axis=2, keepdims=True)), np.float32)


def draw(kind: str, persons: int, block: int) -> Photos:
    """A population of a kind; another for each block."""
    if kind == "isotropic":
        random = np.random.default_rng((3, block))
        faces = calibration.population(random, persons, STORED[-1] + CLAIMED[-1]).astype(np.float32)
        return Photos(faces[:, : STORED[-1]], faces[:, STORED[-1] :])
    people = People(persons, shared=SHARED if kind == "occasion" else 0.0, looks=kind == "looks")
    return people.drawn(block)


def score(squares: Distances, stored: Distances, claimed: Distances) -> Iterator[tuple[Key, Distances]]:
    """The distance by every rule and for every number of photos.

    `squares` are squared distances, (rows, m, n, columns); `stored` the variances of the first 1, 2, ...
    stored photos around their mean, (n, columns), and `claimed` those of the claims', (rows, m).
    """
    roots = np.sqrt(squares)
    nearest = _running(np.minimum, roots, 2)
    pairs = _running(np.minimum, nearest, 1)
    near_sums = _running(np.add, nearest, 1)
    square_sums = _running(np.add, squares, 1)
    near_squares = _running(np.minimum, square_sums, 2)
    square_sums = _running(np.add, square_sums, 2)
    sums = _running(np.add, _running(np.add, roots, 1), 2)
    for m in CLAIMED:
        for n in STORED:
            mean_square = square_sums[:, m - 1, n - 1] / (m * n)
            apart = mean_square - stored[n - 1] - claimed[:, m - 1, None]
            yield ("nearest pair", n, m), pairs[:, m - 1, n - 1]
            yield ("mean of nearest", n, m), near_sums[:, m - 1, n - 1] / m
            yield ("nearest of RMS", n, m), np.sqrt(near_squares[:, m - 1, n - 1] / m)
            yield ("mean vectors", n, m), np.sqrt(np.maximum(apart, 0))
            yield ("mean", n, m), sums[:, m - 1, n - 1] / (m * n)
            yield ("RMS", n, m), np.sqrt(mean_square)
            if (n, m) in MEDIANS:
                flat = roots[:, :m, :n].reshape(len(roots), m * n, -1)
                yield ("median", n, m), np.median(flat, axis=1)


def _running(function: np.ufunc, values: Distances, axis: int) -> Distances:
    """As `function.accumulate`, which is ten times slower along other axes than the last."""
    result = values.copy()
    lanes = np.moveaxis(result, axis, 0)
    for number in range(1, len(lanes)):
        function(lanes[number], lanes[number - 1], out=lanes[number])
    return result


def spreads(photos: Vectors) -> Distances:
    """The mean squared distance of the first 1, 2, ... photos from their mean, (people, photos)."""
    counts = np.arange(1, photos.shape[1] + 1)
    means = np.cumsum(photos.astype(np.float64), axis=1) / counts[:, None]
    squares = np.cumsum(np.einsum("pkd,pkd->pk", photos, photos, dtype=np.float64), axis=1) / counts
    return np.asarray(squares - np.einsum("pkd,pkd->pk", means, means), np.float32)


def count_genuine(photos: Photos) -> dict[Key, Counts]:
    """Each claim against its own person: counts by distance, in bins of BIN."""
    own, others = spreads(photos.claimed), spreads(photos.stored).T
    counts: dict[Key, Counts] = {}
    for first in range(0, len(own), 512):
        rows = slice(first, first + 512)
        gaps = photos.claimed[rows, :, None] - photos.stored[rows, None]  # (rows, m, n, dimensions)
        squares = np.einsum("pmnd,pmnd->mnp", gaps, gaps)
        # The persons are the columns of a single row, whose own spread is another for each column.
        for m in CLAIMED:
            some = score(squares[None], others[:, rows] + own[rows, m - 1], np.zeros((1, CLAIMED[-1])))
            _add(counts, ((key, distances) for key, distances in some if key[2] == m))
    return counts


def count_impostors(photos: Photos) -> dict[Key, Counts]:
    """Each claim against all other persons: counts by distance, in bins of BIN."""
    persons, m, dimensions = photos.claimed.shape
    n = photos.stored.shape[1]
    own, others = spreads(photos.claimed), spreads(photos.stored).T
    impostor: dict[Key, Counts] = {}
    columns = photos.stored.transpose(1, 0, 2).reshape(n * persons, dimensions)
    column_squares = np.einsum("cd,cd->c", columns, columns)
    for first in range(0, persons, ROWS):
        rows = slice(first, first + ROWS)
        claims = photos.claimed[rows].reshape(-1, dimensions)
        products = claims @ columns.T
        products *= -2
        products += np.einsum("cd,cd->c", claims, claims)[:, None]
        products += column_squares
        block = np.maximum(products, 0).reshape(-1, m, n, persons)
        size = np.arange(len(block))
        block[size, :, :, first + size] = 16.0  # a claim's own person: far away
        _add(impostor, score(block, others, own[rows]))
    return impostor


def _add(counts: dict[Key, Counts], scored: Iterator[tuple[Key, Distances]]) -> None:
    for key, distances in scored:
        near = distances[distances < BIN * (BINS - 1)]
        found = np.bincount((near / BIN).astype(np.int64), minlength=BINS)
        found[-1] += distances.size - near.size
        counts[key] = counts[key] + found if key in counts else found


@dataclass(frozen=True)
class Sample:
    """Counts of some populations: of each, and by rule and number of photos."""

    genuine: Sequence[Mapping[Key, Counts]]
    impostor: Sequence[Mapping[Key, Counts]]
    persons: int

    def threshold(self, key: Key, fmr: float, without: int = -1) -> int:
        """The bin below which the share of impostors is at most `fmr`, leaving out a population."""
        used = [each[key] for number, each in enumerate(self.impostor) if number != without]
        allowed = fmr * len(used) * self.persons * (self.persons - 1)
        return int(np.searchsorted(np.cumsum(np.sum(used, axis=0)), allowed, side="right"))

    def fnmr(self, key: Key, fmr: float, without: int = -1) -> float:
        """FNMR at the threshold of an FMR."""
        used = [each[key] for number, each in enumerate(self.genuine) if number != without]
        total = np.sum(used, axis=0)
        return float(total[self.threshold(key, fmr, without) :].sum() / total.sum())

    def fmr(self, key: Key, threshold: int) -> float:
        """FMR at a bin's lower edge."""
        used = np.sum([each[key] for each in self.impostor], axis=0)
        return float(used[:threshold].sum() / (len(self.impostor) * self.persons * (self.persons - 1)))

    def interval(self, key: Key, fmr: float) -> tuple[float, float]:
        """FNMR's 95 % interval, by the jackknife that leaves a population out (threshold included)."""
        populations = len(self.genuine)
        value = self.fnmr(key, fmr)
        left = np.array([self.fnmr(key, fmr, without=number) for number in range(populations)])
        error = np.sqrt((populations - 1) * np.mean((left - left.mean()) ** 2))
        half = STUDENT.get(populations, 2.2) * error
        return max(0.0, value - half), min(1.0, value + half)


def measure(kind: str, persons: int, populations: int) -> Sample:
    """Count some populations of a kind."""
    genuine = [count_genuine(draw(kind, GENUINE, 100 + block)) for block in range(populations)]
    impostor = [count_impostors(draw(kind, persons, block)) for block in range(populations)]
    return Sample(genuine, impostor, persons)


def rates(sample: Sample) -> str:
    """FNMR at each FMR."""
    rows = []
    for rule, n, m in sorted(sample.impostor[0], key=lambda key: (key[1], key[2])):
        cells = []
        for fmr in FMRS:
            low, high = sample.interval((rule, n, m), fmr)
            cells.append(f"{sample.fnmr((rule, n, m), fmr):.2%} ({low:.2%}-{high:.2%})")
        rows.append((n, m, rule, *cells))
    return table(("stored", "claim", "rule", *(f"FNMR at FMR {fmr:g}" for fmr in FMRS)), rows)


def shifts(sample: Sample, fmr: float = 1e-4) -> str:
    """The FMR at the threshold that gives `fmr` with a photo each."""
    threshold = sample.threshold(("nearest pair", 1, 1), fmr)
    rules = list(dict.fromkeys(rule for rule, _, _ in sample.impostor[0]))
    rows = []
    for n in STORED:
        for m in CLAIMED:
            found = [
                f"{sample.fmr((rule, n, m), threshold):.1e}" if (rule, n, m) in sample.impostor[0] else ""
                for rule in rules
            ]
            rows.append((n, m, *found))
    return table(("stored", "claim", *rules), rows)


def main() -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.scores")
    parser.add_argument("--persons", type=int, default=2000)
    parser.add_argument("--populations", type=int, default=4)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    given = parser.parse_args()
    for kind in given.kinds:
        sample = measure(kind, given.persons, given.populations)
        print(f"### {kind}: {given.populations} populations of {given.persons} persons\n")
        print(rates(sample), end="\n\n")
        print("FMR at the threshold of FMR 1e-4 with a photo each\n")
        print(shifts(sample), end="\n\n", flush=True)
    return 0


if __name__ == "__main__":
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    sys.exit(main())
