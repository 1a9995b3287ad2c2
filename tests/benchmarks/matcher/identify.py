"""Identify: mated probes by the index, non-mated ones by an exact scan beside numpy's."""

import time
from functools import partial

import numpy as np

from facerec.matcher.v1 import matcher_pb2 as pb
from tests.benchmarks.matcher import calls, driving, exact
from tests.benchmarks.matcher.peers import FaissFlat, took
from tests.benchmarks.matcher.stage import Stage
from tests.benchmarks.matcher.tables import Figure, Seconds, Table, milliseconds


async def run(stage: Stage, *, probes: int = 1000, non_mated: int = 21) -> Table:
    """Time the enrolled one by one, then ask ours, numpy and FAISS for each non-mated probe in turn."""
    times, by_index, right = await _enrolled(stage, probes)
    whole, scans, peers, ratios = await _non_mated(stage, non_mated)
    # numpy allocates half a gigabyte each time; where memory is scarce or shared that alone takes a second.
    best = float(scans.min() / peers["numpy"].min())
    return Table.of_figures(
        f"Identify, {len(stage.faces.people):,} faces of {stage.dataset.people:,} people",
        [
            Figure.at_most("enrolled, p50", milliseconds(times), 15, " ms"),
            Figure.plain("enrolled, p99", milliseconds(times, 99), " ms"),
            Figure.at_least("enrolled, right by the index alone", by_index * right, 0.99),
            Figure.plain("enrolled, index result accepted", by_index),
            Figure.plain("of those, right", right),
            Figure.plain("unenrolled, index and then scan, p50", milliseconds(whole), " ms"),
            Figure.plain("unenrolled, exact scan, p50", milliseconds(scans), " ms"),
            Figure.plain("numpy's scan, one thread, p50", milliseconds(peers["numpy"]), " ms"),
            Figure.plain("numpy's scan at its best", milliseconds(peers["numpy"], 0), " ms"),
            Figure.plain("exact scan against numpy's, p50", ratios, " times"),
            Figure.at_most("exact scan against numpy's, both at their best", best, 1.5, " times"),
            Figure.plain(
                "the whole answer against numpy's", float(np.median(whole / peers["numpy"])), " times"
            ),
            Figure.plain("FAISS flat, one thread, p50", milliseconds(peers["FAISS"]), " ms"),
        ],
    )


async def _enrolled(stage: Stage, count: int) -> tuple[Seconds, float, float]:
    """Times, the share that the index decides alone, and the share of those that it decides right."""
    probes = stage.dataset.genuine(count, draw=3)
    answers: list[pb.IdentifiedFace] = []

    async def send(number: int) -> None:
        answers.append(await stage.calls.identify(calls.identify(probes.encodings[number], max_candidates=1)))

    times = await driving.one_by_one(send, count)
    right = [
        calls.who(answer) == person
        for answer, person in zip(answers, probes.people, strict=True)
        if answer.mode == pb.SEARCH_MODE_INDEX
    ]
    return times, len(right) / count, float(np.mean(right))


async def _non_mated(stage: Stage, count: int) -> tuple[Seconds, Seconds, dict[str, Seconds], float]:
    faiss = FaissFlat(stage.faces)
    whole: list[float] = []
    scans: list[float] = []
    numpys, faisses = [], []
    vectors = stage.dataset.non_mated(count, draw=3)
    for vector in vectors:
        for times, exact_only in ((whole, False), (scans, True)):
            start = time.perf_counter()
            answer = await stage.calls.identify(calls.identify(vector, exact_only=exact_only))
            times.append(time.perf_counter() - start)
            assert answer.mode != pb.SEARCH_MODE_INDEX or answer.candidates
        numpys.append(took(partial(exact.scan, stage.faces.encodings, vector)))
        faisses.append(took(partial(faiss.who, vector)))
    scanned, peers = np.array(scans), {"numpy": np.array(numpys), "FAISS": np.array(faisses)}
    return np.array(whole), scanned, peers, float(np.median(scanned / peers["numpy"]))
