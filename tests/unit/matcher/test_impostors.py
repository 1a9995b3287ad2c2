"""Pairs of different persons are counted in blocks with the same result as at once; the nearest are kept."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from matcher_service.calibration.error_rates import BIN, BINS, Impostors, false_match_rates
from matcher_service.calibration.impostors import ROWS_A_BLOCK, PairCounter, Vectors


def drawn(persons: int, length: float = 1.42) -> Vectors:
    random = np.random.default_rng(persons)
    vectors = random.normal(size=(persons, 128))
    scaled: Vectors = (length * vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return scaled


def counted(vectors: Vectors, near: float = -1.0, most: int = 20) -> PairCounter:
    counter = PairCounter(vectors, near, most)
    for first in range(0, len(vectors), ROWS_A_BLOCK):
        counter.count(first)
    return counter


@pytest.mark.parametrize("persons", [2, ROWS_A_BLOCK, ROWS_A_BLOCK + 1, 2100])
@pytest.mark.parametrize("length", [1.42, 10_000.0])
def test_every_pair_is_counted_once_for_each_of_its_persons(persons: int, length: float) -> None:
    vectors = drawn(persons, length)
    found = counted(vectors).impostors
    assert found.persons == persons
    assert found.counts.sum() == persons * (persons - 1)
    apart = np.concatenate(
        [
            np.linalg.norm(vectors[row].astype(np.float64) - vectors[row + 1 :].astype(np.float64), axis=1)
            for row in range(min(persons - 1, 40))
        ]
    )
    if persons <= 40 + 1 or length > BINS * BIN:
        expected = np.bincount(np.minimum(apart / BIN, BINS - 1).astype(int), minlength=BINS)
        assert np.array_equal(np.flatnonzero(expected), np.flatnonzero(found.pairs))


def test_the_counts_and_the_intervals_are_those_of_all_rows_at_once() -> None:
    vectors = drawn(300).astype(np.float64)
    apart = np.linalg.norm(vectors[:, None] - vectors[None], axis=2)
    rows = np.zeros((300, BINS), np.int64)
    others = ~np.eye(300, dtype=bool)
    for row in range(300):
        bins = np.minimum(apart[row, others[row]] / BIN, BINS - 1).astype(int)
        rows[row] = np.bincount(bins, minlength=BINS)
    found = counted(drawn(300)).impostors
    assert np.array_equal(found.counts, rows.sum(axis=0))
    near = np.cumsum(rows, axis=1)[:, :-1]
    left_out = (near.sum(axis=0) / 2 - near) / (299 * 298 / 2)
    variance = 299 / 300 * ((left_out - left_out.mean(axis=0)) ** 2).sum(axis=0)
    rates = false_match_rates(found)
    assert [rate.value for rate in rates] == pytest.approx(near.sum(axis=0) / (300 * 299))
    for place in np.flatnonzero(variance > 0)[::20]:
        again = false_match_rates(Impostors.of_rows(rows))[place]
        assert rates[place] == again
        assert rates[place].low < rates[place].value < rates[place].high


def test_the_nearest_pairs_are_kept_each_once() -> None:
    vectors = drawn(2100)
    for index in range(30):  # beside each other, across blocks and across tiles
        vectors[2090 - index] = vectors[index * 65] + np.float32(0.001 * (index + 1))
    found = counted(vectors, near=0.5, most=20).nearest
    assert [(a, b) for _, a, b in found] == [(65 * index, 2090 - index) for index in range(20)]
    assert [distance for distance, _, _ in found] == pytest.approx(
        [0.001 * (index + 1) * np.sqrt(128) for index in range(20)], rel=1e-3
    )
    assert not counted(vectors, near=-1.0).nearest


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="threads are counted in Linux' /proc")
def test_blocks_are_multiplied_on_the_thread_that_counts_them() -> None:
    script = (
        "import os, matcher_service.calibration.impostors as im, numpy as np\n"
        "im.PairCounter(np.ones((4000, 128), np.float32), -1.0, 1).count(0)\n"
        "print(len(os.listdir('/proc/self/task')))\n"
    )
    environment = {name: text for name, text in os.environ.items() if name != "OPENBLAS_NUM_THREADS"}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "1"
