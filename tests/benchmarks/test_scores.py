"""The rules that score several photos: as plain loops score them, and what they do to FMR."""

import numpy as np
import pytest

from tests.benchmarks import scores
from tests.benchmarks.scores import Photos
from tests.benchmarks.vectors import Vectors


def by_loops(stored: Vectors, claimed: Vectors) -> dict[str, float]:
    distances = np.linalg.norm(stored[None].astype(float) - claimed[:, None].astype(float), axis=2)
    squares = distances**2
    return {
        "nearest pair": distances.min(),
        "mean of nearest": distances.min(axis=1).mean(),
        "nearest of RMS": np.sqrt(squares.mean(axis=0).min()),
        "mean vectors": np.linalg.norm(stored.mean(axis=0) - claimed.mean(axis=0)),
        "mean": distances.mean(),
        "RMS": np.sqrt(squares.mean()),
        "median": np.median(distances),
    }


@pytest.mark.parametrize("kind", scores.KINDS)
def test_every_rule_scores_as_plain_loops_do(kind: str) -> None:
    photos = scores.draw(kind, 20, 3)
    apart = photos.claimed[:, :, None] - photos.stored[0]
    squares = np.einsum("pmnd,pmnd->pmn", apart, apart)[..., None]  # everybody's claims against one person
    stored, claimed = scores.spreads(photos.stored[:1]).T, scores.spreads(photos.claimed)
    found = dict(scores.score(squares, stored, claimed))
    assert len(found) > 100
    for (rule, n, m), distances in found.items():
        for claim, distance in zip(photos.claimed, distances[:, 0], strict=True):
            expected = by_loops(photos.stored[0, :n], claim[:m])[rule]
            assert distance == pytest.approx(expected, abs=1e-3), (rule, n, m)


def test_claims_are_counted_once_against_their_own_person_and_once_against_each_other() -> None:
    photos = scores.draw("occasion", 40, 1)
    genuine, impostor = scores.count_genuine(photos), scores.count_impostors(photos)
    assert genuine.keys() == impostor.keys()
    own = [by_loops(stored[:3], claim[:2])["RMS"] for stored, claim in zip(*_both(photos), strict=True)]
    for threshold in (0.3, 0.35, 0.4):
        within = genuine["RMS", 3, 2][: round(threshold / scores.BIN)].sum()
        assert abs(within - sum(distance < threshold for distance in own)) <= 1
    for key, counts in impostor.items():
        assert counts.sum() == 40 * 39 + 40, key  # and the own person, far away
        assert genuine[key].sum() == 40


def test_more_photos_of_a_claim_do_not_raise_fmr_where_they_are_fused_by_rms() -> None:
    sample = scores.Sample([], [scores.count_impostors(scores.draw("independent", 300, 1))], 300)
    threshold = sample.threshold(("nearest pair", 1, 1), 0.01)
    fused = [sample.fmr(("nearest of RMS", 1, m), threshold) for m in scores.CLAIMED]
    pairs = [sample.fmr(("nearest pair", 1, m), threshold) for m in scores.CLAIMED]
    assert fused == sorted(fused, reverse=True)
    assert pairs == sorted(pairs)
    assert fused[-1] < 0.9 * fused[0] < 1.5 * fused[0] < pairs[-1]


def _both(photos: Photos) -> tuple[Vectors, Vectors]:
    return photos.stored, photos.claimed
