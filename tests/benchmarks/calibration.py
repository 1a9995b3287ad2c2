"""How often a calibration's intervals contain the true rate, on populations whose error rates are known.

`python -m tests.benchmarks.calibration [--populations 1000]`, and a fifth as many for groups and searches.

A person is a point drawn from a Gaussian in 24 dimensions, and each photo another Gaussian around it; for
half of the people photos scatter more than for the others. So distances are scaled chi variables, whose
distributions give FMR and FNMR at every threshold exactly. What is computed from a population is what the
matcher computes.
"""

import argparse
import dataclasses
import sys

import numpy as np
import numpy.typing as npt

from matcher_service.calibration import error_rates
from matcher_service.calibration.error_rates import BIN, BINS, Impostors, Sample
from tests.benchmarks import calibration_groups, calibration_searches
from tests.benchmarks.encoder.tables import table

DIMENSIONS = 24
PERSON_SCALE = 0.155
PHOTO_SCALES = (0.05, 0.07)
TARGET_FMR = 0.01
SIZES = ((60, 3), (200, 2), (400, 4))
Vectors = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Coverage:
    """Of one kind of population: how often the interval at the target's threshold contained the true rate."""

    persons: int
    photos: int
    fmr: float
    fnmr: float


def truth(threshold: float) -> tuple[float, float]:
    """FMR and FNMR at a threshold, from the distributions of the distances."""
    from scipy.stats import chi2  # every worker that collects tests would import it

    pairs = [(a, b) for a in PHOTO_SCALES for b in PHOTO_SCALES]
    scales = [2 * PERSON_SCALE**2 + a**2 + b**2 for a, b in pairs]
    fmr = np.mean([chi2.cdf(threshold**2 / scale, DIMENSIONS) for scale in scales])
    fnmr = np.mean([chi2.sf(threshold**2 / (2 * scale**2), DIMENSIONS) for scale in PHOTO_SCALES])
    return float(fmr), float(fnmr)


def population(random: np.random.Generator, persons: int, photos: int) -> Vectors:
    """Faces of shape (persons, photos, DIMENSIONS)."""
    scales = random.choice(PHOTO_SCALES, persons)
    people = random.normal(scale=PERSON_SCALE, size=(persons, 1, DIMENSIONS))
    faces: Vectors = people + random.normal(size=(persons, photos, DIMENSIONS)) * scales[:, None, None]
    return faces


def measured(faces: Vectors) -> Sample:
    """What is counted of a population: own pairs, and one face of each person against the others'."""
    persons, photos, _ = faces.shape
    a, b = np.triu_indices(photos, 1)
    genuine = _counted(np.linalg.norm(faces[:, a] - faces[:, b], axis=2))
    first = faces[:, 0]
    apart = np.linalg.norm(first[:, None] - first[None], axis=2)
    others = apart[~np.eye(persons, dtype=bool)].reshape(persons, persons - 1)
    return Sample(genuine, Impostors.of_rows(_counted(others)))


def _counted(distances: Vectors) -> npt.NDArray[np.int64]:
    bins = np.minimum(distances / BIN, BINS - 1).astype(np.int64)
    counts = np.zeros((len(distances), BINS), np.int64)
    np.add.at(counts, (np.repeat(np.arange(len(bins)), bins.shape[1]), bins.ravel()), 1)
    return counts


def cover(populations: int, persons: int, photos: int, *, seed: int) -> Coverage:
    """Draw populations of one kind and check whether their intervals contain the true rates."""
    random = np.random.default_rng(seed)
    fmr = fnmr = 0
    for _ in range(populations):
        points = error_rates.curve(measured(population(random, persons, photos)))
        chosen = error_rates.largest_within(points, TARGET_FMR)
        assert chosen is not None
        assert chosen.fnmr is not None
        fmr += chosen.fmr.low <= truth(chosen.threshold)[0] <= chosen.fmr.high
        # FNMR where it is no matter of a few persons: a threshold given beforehand.
        fixed = points[round(0.5 / BIN) - 1]
        assert fixed.fnmr is not None
        fnmr += fixed.fnmr.low <= truth(fixed.threshold)[1] <= fixed.fnmr.high
    return Coverage(persons, photos, fmr / populations, fnmr / populations)


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.calibration")
    parser.add_argument("--populations", type=int, default=1000)
    given = parser.parse_args()
    rows = []
    for seed, (persons, photos) in enumerate(SIZES):
        found = cover(given.populations, persons, photos, seed=seed)
        rows.append((persons, photos, f"{found.fmr:.1%}", f"{found.fnmr:.1%}"))
    print(f"{given.populations} populations of each kind; 95 % intervals that held the truth\n")
    print(
        table(("persons", "photos each", f"FMR, at the threshold for {TARGET_FMR:g}", "FNMR, at 0.5"), rows)
    )
    calibration_groups.main(given.populations // 5)
    calibration_searches.main(given.populations // 5)
    return 0


if __name__ == "__main__":
    sys.exit(main())
