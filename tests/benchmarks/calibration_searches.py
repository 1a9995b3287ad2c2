"""How often the intervals of FPIR and FNIR contain the true rates.

Populations of tests.benchmarks.calibration, with two photos of each person, all of whom are enrolled. The
true FPIR is counted with fresh people, searched for in the same collections; that of mated probes is known
exactly, as each has one other photo.
"""

import dataclasses

import numpy as np
import numpy.typing as npt

from matcher_service.calibration.error_rates import thresholds
from matcher_service.calibration.search_rates import NearestFaces, search_point
from tests.benchmarks.calibration_groups import Group, distances, fnmr, population
from tests.benchmarks.encoder.tables import table

KINDS = ((500, 0.02), (1000, 0.01), (3334, 0.003))
Vectors = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class SearchCoverage:
    """How often the intervals contained the true rates, at the thresholds chosen.

    The true FPIR is that of fresh people in collections of people like these.
    """

    fpir: float
    fnir: float


def main(populations: int) -> None:
    """Print the table."""
    rows = []
    for seed, (persons, target_fpir) in enumerate(KINDS):
        found = cover(populations, persons, target_fpir, seed=seed)
        rows.append((persons, f"{target_fpir:g}", *(f"{each:.1%}" for each in dataclasses.astuple(found))))
    print(f"\n{populations} collections, two photos each, at the threshold for an FPIR\n")
    print(table(("persons", "target FPIR", "FPIR held", "FNIR held"), rows))


def nearest(faces: Vectors) -> NearestFaces:
    """What the matcher finds: a photo of each person among all others, and its other photo."""
    persons, photos, dimensions = faces.shape
    apart = distances(faces[:, 0], faces.reshape(-1, dimensions)).reshape(persons, persons, photos)
    apart[np.arange(persons), np.arange(persons)] = np.inf
    to_persons = apart.min(axis=2)
    own = np.linalg.norm(faces[:, 1] - faces[:, 0], axis=1)
    return NearestFaces(np.arange(persons), to_persons.min(axis=1), to_persons.argmin(axis=1), own)


def cover(
    populations: int, persons: int, target_fpir: float, *, fresh: int = 2000, seed: int
) -> SearchCoverage:
    """Draw collections of so many people, and search in each for some fresh people too."""
    random = np.random.default_rng(seed)
    group = Group(persons)
    points, shares = [], []
    for _ in range(populations):
        (faces,) = population(random, [group], 2)
        points.append(search_point(nearest(faces), target_fpir))
        (probes,) = population(random, [Group(fresh)], 1)
        shares.append(_false_positives(probes[:, 0], faces.reshape(-1, faces.shape[2])))
    mean = np.mean(shares, axis=0)
    covered = []
    for point in points:
        assert point.threshold is not None
        assert point.fpir is not None
        assert point.fnir is not None
        at = int(np.searchsorted(thresholds(), point.threshold))
        covered.append(
            (
                point.fpir.low <= mean[at] <= point.fpir.high,
                point.fnir.low <= fnmr(group, point.threshold) <= point.fnir.high,
            )
        )
    return SearchCoverage(*np.mean(covered, axis=0).tolist())


def _false_positives(probes: Vectors, faces: Vectors) -> Vectors:
    """The share of the probes that have a face within each threshold."""
    found = np.concatenate(
        [distances(some, faces).min(axis=1) for some in np.array_split(probes, max(1, len(probes) // 200))]
    )
    return np.searchsorted(np.sort(found), thresholds(), side="right") / len(probes)
