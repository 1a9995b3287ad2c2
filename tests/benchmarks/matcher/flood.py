"""A flood of non-mated probes beside a steady stream of Verify."""

import asyncio
from collections import Counter

import grpc
import numpy as np

from tests.benchmarks.matcher import calls, driving
from tests.benchmarks.matcher.driving import Arrivals
from tests.benchmarks.matcher.stage import Stage
from tests.benchmarks.matcher.tables import Figure, Table, milliseconds

VERIFY_PER_SECOND = 50.0
NON_MATED = 100
OK, REFUSED = grpc.StatusCode.OK, grpc.StatusCode.RESOURCE_EXHAUSTED
TIMES = 10  # times as many non-mated probes as can be decided


async def run(stage: Stage, *, seconds: float = 12.0, rounds: int = 3, times: float = TIMES) -> Table:
    """Measure Verify quiet and under the flood, in turn; the median of the rounds' ratios decides."""
    probes = stage.dataset.genuine(500, draw=4)
    non_mated = [calls.identify(vector) for vector in stage.dataset.non_mated(NON_MATED, draw=4)]
    claims = [
        calls.verify(int(person), vector).SerializeToString()
        for person, vector in zip(probes.people, probes.encodings, strict=True)
    ]

    async def claim(number: int) -> None:
        await stage.calls.verify_bytes(claims[number % len(claims)], timeout=30)

    async def strange(number: int) -> None:
        await stage.calls.stub.Identify(non_mated[number % len(non_mated)], timeout=30)

    capacity = await driving.rate(strange, in_flight=4, seconds=seconds / 4)
    quiet, flooded = [], []
    claim_outcomes: Counter[grpc.StatusCode] = Counter()
    outcomes: Counter[grpc.StatusCode] = Counter()
    for _ in range(rounds):
        quiet.append((await Arrivals().run(claim, per_second=VERIFY_PER_SECOND, seconds=seconds / 2)).seconds)
        claimed, flood = await asyncio.gather(
            Arrivals().run(claim, per_second=VERIFY_PER_SECOND, seconds=seconds),
            Arrivals().run(strange, per_second=times * capacity, seconds=seconds),
        )
        flooded.append(claimed.seconds)
        claim_outcomes += claimed.outcomes
        outcomes += flood.outcomes
    unanswered = claim_outcomes.total() - claim_outcomes[OK]
    answered, refused = outcomes[OK], outcomes[REFUSED]
    others = {code.name: count for code, count in outcomes.items() if code not in (OK, REFUSED)}
    ratios = [milliseconds(f, 99) / milliseconds(q, 99) for f, q in zip(flooded, quiet, strict=True)]
    return Table.of_figures(
        f"Verify at {VERIFY_PER_SECOND:g} a second, {times:g} times the non-mated probes that can be decided",
        [
            Figure.plain("non-mated probes decided, 4 in flight", capacity, " a second"),
            Figure.plain("Verify, quiet, p50", milliseconds(np.concatenate(quiet)), " ms"),
            Figure.plain("Verify, quiet, p99", milliseconds(np.concatenate(quiet), 99), " ms"),
            Figure.plain("Verify, flooded, p50", milliseconds(np.concatenate(flooded)), " ms"),
            Figure.plain("Verify, flooded, p99", milliseconds(np.concatenate(flooded), 99), " ms"),
            Figure.at_most("flooded p99 against quiet", float(np.median(ratios)), 2, " times"),
            Figure("Verify unanswered in the flood", f"{unanswered}", "0", unanswered == 0),
            Figure("non-mated probes answered / refused", f"{answered} / {refused}"),
            Figure("non-mated probes neither answered nor refused", str(others or 0), "0", not others),
        ],
    )
