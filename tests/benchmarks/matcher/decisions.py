"""Decisions of Identify compared with numpy's exact ones."""

import asyncio
from dataclasses import dataclass

import numpy as np

from facerec.matcher.v1 import matcher_pb2 as pb
from tests.benchmarks.matcher import calls
from tests.benchmarks.matcher.exact import Nearest, nearest
from tests.benchmarks.matcher.stage import Stage
from tests.benchmarks.matcher.tables import Figure, Table
from tests.benchmarks.vectors import Vectors

FALSE_POSITIVES = 1e-3
IN_FLIGHT = 2  # what the pool for exact scans takes at once
EXACT_THRESHOLDS = (0.41, 0.5, 0.6)  # of which the last is beyond the distance up to which sketches are used
EXACT_IN_FLIGHT = 24  # so that scans are full


@dataclass(frozen=True)
class Outcome:
    """Decisions that differ, a line each, of how many, and how many the index made alone."""

    differences: list[str]
    decisions: int
    by_index: int


def threshold_of(non_mated: Nearest, rate: float = FALSE_POSITIVES) -> float:
    """The threshold at which this share of non-mated probes matches somebody."""
    distances = np.sort(non_mated.distances)
    accepted = round(rate * len(distances))
    return float(distances[:1][0] - 1e-6 if accepted == 0 else distances[accepted - 1 : accepted + 1].mean())


async def compare(stage: Stage, probes: Vectors, truth: Nearest, threshold: float, kind: str) -> Outcome:
    """Ask for each probe's person at a threshold and list what numpy decides otherwise."""
    answers: dict[int, pb.IdentifiedFace] = {}
    waiting = iter(range(len(probes)))

    async def caller() -> None:
        for number in waiting:
            request = calls.identify(probes[number], max_candidates=1, max_distance=threshold)
            answers[number] = await stage.calls.identify(request)

    await asyncio.gather(*(caller() for _ in range(IN_FLIGHT)))
    differences = [
        f"{kind} {number} at {threshold:.4f}: {calls.who(answers[number])} ({mode(answers[number])}), numpy"
        f" {expected} at {truth.distances[number]:.4f}"
        for number, expected in enumerate(truth.decisions(threshold))
        if calls.who(answers[number]) != expected
    ]
    by_index = sum(answer.mode == pb.SEARCH_MODE_INDEX for answer in answers.values())
    return Outcome(differences, len(probes), by_index)


async def compare_exactly(stage: Stage, probes: Vectors, truth: Nearest, kind: str) -> Outcome:
    """Search exactly for each probe at all of EXACT_THRESHOLDS, so that scans have probes of several."""
    asked = [(number, threshold) for number in range(len(probes)) for threshold in EXACT_THRESHOLDS]
    expected = {threshold: truth.decisions(threshold) for threshold in EXACT_THRESHOLDS}
    differences: list[str] = []
    waiting = iter(asked)

    async def caller() -> None:
        for number, threshold in waiting:
            request = calls.identify(
                probes[number], max_candidates=1, max_distance=threshold, exact_only=True
            )
            who = calls.who(await stage.calls.identify(request))
            if who != expected[threshold][number]:
                differences.append(
                    f"{kind} {number} at {threshold}, exactly: {who}, numpy {expected[threshold][number]} at"
                    f" {truth.distances[number]:.6f}"
                )

    await asyncio.gather(*(caller() for _ in range(EXACT_IN_FLIGHT)))
    return Outcome(differences, len(asked), 0)


def mode(answer: pb.IdentifiedFace) -> str:
    return pb.SearchMode.Name(answer.mode).removeprefix("SEARCH_MODE_")


async def run(
    stage: Stage,
    *,
    probes: int = 1000,
    calibration: int = 5000,
    loose_non_mated: int = 300,
    loose: float = 0.6,
) -> Table:
    """Decide for as many mated and non-mated probes at the calibrated threshold, then at a loose one.

    Nothing is timed, so Postgres has both cores.
    """
    genuine = stage.dataset.genuine(probes, draw=5)
    non_mated = stage.dataset.non_mated(max(calibration, probes), draw=5)
    with stage.both_cores():
        true_genuine = nearest(stage.faces, genuine.encodings)
        nearest_non_mated = nearest(stage.faces, non_mated)
        threshold = threshold_of(nearest_non_mated)
        strict = [
            await compare(stage, genuine.encodings, true_genuine, threshold, "enrolled"),
            await compare(
                stage, non_mated[:probes], _first(nearest_non_mated, probes), threshold, "non-mated"
            ),
        ]
        wide = [
            await compare(stage, genuine.encodings, true_genuine, loose, "enrolled"),
            await compare(
                stage,
                non_mated[:loose_non_mated],
                _first(nearest_non_mated, loose_non_mated),
                loose,
                "non-mated",
            ),
        ]
        exact = [
            await compare_exactly(stage, genuine.encodings, true_genuine, "enrolled"),
            await compare_exactly(stage, non_mated[:probes], _first(nearest_non_mated, probes), "non-mated"),
        ]
    found = np.mean((true_genuine.people == genuine.people) & (true_genuine.distances <= threshold))
    listed = [line for outcome in (*strict, *wide, *exact) for line in outcome.differences]
    return Table.of_figures(
        "Decisions against numpy's exact ones",
        [
            Figure.plain(f"threshold with a false-positive rate of {FALSE_POSITIVES:g} here", threshold),
            Figure.plain("enrolled people whom exact search finds at it", float(found)),
            *_figures(strict, threshold, goal=True),
            *_figures(wide, loose, goal=False),
            *_figures(exact, EXACT_THRESHOLDS, goal=True),
        ],
        listed or ["No decision differs."],
    )


def _figures(outcomes: list[Outcome], at: float | tuple[float, ...], *, goal: bool) -> list[Figure]:
    figures = []
    where = f"{at:.3f}" if isinstance(at, float) else f"{', '.join(map(str, at))}, exactly"
    for kind, outcome in zip(("enrolled", "non-mated"), outcomes, strict=True):
        what = f"{kind} at {where}: decided otherwise"
        seen = f"{len(outcome.differences)} of {outcome.decisions} ({outcome.by_index} by the index)"
        figures.append(Figure(what, seen, "0" if goal else "", not outcome.differences if goal else None))
    return figures


def _first(truth: Nearest, count: int) -> Nearest:
    return Nearest(truth.people[:count], truth.distances[:count])
