"""How often intervals of groups contain the true rates, and how often equal groups are called different.

Groups of the populations of tests.benchmarks.calibration: in each, people and photos scatter as much as its
own scales say, around a center of its own. So the error rates within and between groups are known exactly.
"""

import dataclasses
import math
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from matcher_service.calibration.error_rates import BIN, BINS, Impostors, Sample, thresholds
from matcher_service.calibration.group_rates import GroupComparison, GroupSample, compare
from tests.benchmarks.encoder.tables import table

DIMENSIONS = 24
TARGET_FMR = 0.01
Vectors = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Group:
    """How many people, how far they and their photos scatter, and how far the center is from the others'."""

    persons: int
    person_scale: float = 0.155
    photo_scales: tuple[float, float] = (0.07, 0.1)
    offset: float = 0.0


@dataclasses.dataclass(frozen=True)
class GroupCoverage:
    """Over populations: the shares of intervals that contain the true rate, and of verdicts that are wrong.

    `called_different` and `called_exceeded` are shares of populations with at least one such verdict that is
    wrong, `found_different` is the share of the differences that were found; NaN if there are none.
    """

    fmr: float
    fnmr: float
    between: float
    called_different: float
    called_exceeded: float
    found_different: float


GROUPS = {
    "2 of 150, equal": (Group(150),) * 2,
    "4 of 150, equal": (Group(150),) * 4,
    "8 of 60 to 400, equal": tuple(map(Group, (60, 80, 100, 150, 150, 200, 300, 400))),
    "16 of 80, equal": (Group(80),) * 16,
    "4 of 60 to 400, 3 of which differ": (
        Group(400),
        Group(200, person_scale=0.14),
        Group(100, photo_scales=(0.09, 0.12)),
        Group(60, person_scale=0.17, offset=0.3),
    ),
    "4 of 300, equal, far from each other": tuple(Group(300, offset=0.1 * n) for n in (0, 2, 4, 6)),
}


def main(populations: int) -> None:
    """Print the table."""
    rows = []
    for seed, (name, groups) in enumerate(GROUPS.items()):
        found = cover(populations, groups, seed=seed)
        shares = dataclasses.astuple(found)
        rows.append((name, *("" if math.isnan(each) else f"{each:.1%}" for each in shares)))
    print(f"\n{populations} populations of groups, two photos each, where FMR is about {TARGET_FMR:g}\n")
    columns = ("groups", "FMR within held", "FNMR held", "FMR between held", "equal ones called different")
    print(table((*columns, "target wrongly exceeded", "differences found"), rows))


def fmr_between(a: Group, b: Group, threshold: float, *, same: bool) -> float:
    """FMR of pairs of a person of either group; `same` for pairs within one."""
    from scipy.stats import ncx2  # every worker that collects tests would import it

    apart = 0.0 if same else a.offset**2 + b.offset**2
    scales = [
        a.person_scale**2 + b.person_scale**2 + one**2 + other**2
        for one in a.photo_scales
        for other in b.photo_scales
    ]
    return float(np.mean([ncx2.cdf(threshold**2 / each, DIMENSIONS, apart / each) for each in scales]))


def fnmr(group: Group, threshold: float) -> float:
    """FNMR of a group's people."""
    from scipy.stats import chi2

    return float(np.mean([chi2.sf(threshold**2 / (2 * each**2), DIMENSIONS) for each in group.photo_scales]))


def population(random: np.random.Generator, groups: Sequence[Group], photos: int) -> list[Vectors]:
    """Of each group faces of shape (persons, photos, DIMENSIONS)."""
    found = []
    for number, group in enumerate(groups):
        scales = random.choice(group.photo_scales, group.persons)
        people = random.normal(scale=group.person_scale, size=(group.persons, 1, DIMENSIONS))
        people[:, :, number] += group.offset
        drawn = random.normal(size=(group.persons, photos, DIMENSIONS))
        found.append(people + drawn * scales[:, None, None])
    return found


def measured(faces: Sequence[Vectors], threshold: float) -> list[GroupSample]:
    """What the matcher counts of groups."""
    found = []
    for number, own in enumerate(faces):
        counts = [counted(distances(own[:, 0], other[:, 0])) for other in faces]
        counts[number][:, 0] -= 1  # each with itself
        near = np.stack([each[:, : round(threshold / BIN)].sum(axis=1) for each in counts], axis=1)
        a, b = np.triu_indices(own.shape[1], 1)
        genuine = counted(np.linalg.norm(own[:, a] - own[:, b], axis=2))
        sample = Sample(genuine, Impostors.of_rows(counts[number]))
        found.append(GroupSample(str(number), len(own), sample, near, "", 0))
    return found


def distances(rows: Vectors, columns: Vectors) -> Vectors:
    """Euclidean distances of shape (rows, columns)."""
    squares = (rows**2).sum(axis=1)[:, None] + (columns**2).sum(axis=1) - 2 * rows @ columns.T
    apart: Vectors = np.sqrt(np.maximum(squares, 0))
    return apart


def counted(apart: Vectors) -> npt.NDArray[np.int64]:
    """The distances of each row by bin: shape (rows, BINS)."""
    bins = np.minimum(apart / BIN, BINS - 1).astype(np.int64) + BINS * np.arange(len(apart))[:, None]
    return np.bincount(bins.ravel(), minlength=BINS * len(apart)).reshape(len(apart), BINS)


def comparisons(
    populations: int, groups: Sequence[Group], threshold: float, target_fmr: float, *, seed: int
) -> Iterator[GroupComparison]:
    """Draw populations of some groups, with two photos each, and compare the groups."""
    random = np.random.default_rng(seed)
    for _ in range(populations):
        faces = population(random, groups, 2)
        yield compare(measured(faces, threshold), threshold=threshold, target_fmr=target_fmr)


def cover(populations: int, groups: Sequence[Group], *, seed: int) -> GroupCoverage:
    """Check intervals and verdicts of some groups at the threshold where the first one's FMR is 0.01."""
    threshold = min(
        map(float, thresholds()),
        key=lambda t: abs(fmr_between(groups[0], groups[0], t, same=True) - TARGET_FMR),
    )
    target = fmr_between(groups[0], groups[0], threshold, same=True)
    within = [fmr_between(each, each, threshold, same=True) for each in groups]
    misses = [fnmr(each, threshold) for each in groups]
    shares: dict[str, list[bool]] = {field.name: [] for field in dataclasses.fields(GroupCoverage)}
    for found in comparisons(populations, groups, threshold, target, seed=seed):
        shares["fmr"] += [
            g.fmr.low <= w <= g.fmr.high for g, w in zip(found.groups, within, strict=True) if g.fmr
        ]
        shares["fnmr"] += [
            g.fnmr.low <= m <= g.fnmr.high for g, m in zip(found.groups, misses, strict=True) if g.fnmr
        ]
        wrong = []
        for pair in found.pairs:
            a, b = pair.a, pair.b
            truth = fmr_between(groups[a], groups[b], threshold, same=False)
            if pair.fmr:
                shares["between"].append(pair.fmr.low <= truth <= pair.fmr.high)
            for different, truths in ((pair.fmr_differs, within), (pair.fnmr_differs, misses)):
                if truths[a] == truths[b]:
                    wrong.append(bool(different))
                else:
                    shares["found_different"].append(bool(different))
        shares["called_different"].append(any(wrong))
        shares["called_exceeded"].append(
            any(g.exceeds_target for g, w in zip(found.groups, within, strict=True) if w <= target)
        )
    return GroupCoverage(
        **{name: float(np.mean(each)) if each else float("nan") for name, each in shares.items()}
    )
