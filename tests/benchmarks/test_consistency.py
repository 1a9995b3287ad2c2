"""How often photos are flagged and suggestions right: a short form of the benchmark."""

from matcher_service.duplicates.inconsistent import Suggestion
from tests.benchmarks import consistency
from tests.benchmarks.corruptions import corrupt, measure

WITHIN = consistency.BOUNDS.index(consistency.DUPLICATE)


def test_wrong_photos_are_flagged_and_right_ones_are_not() -> None:
    shares = {kind: each[WITHIN] for kind, each in consistency.flagged(1000, 2, 500).items()}
    assert shares["their own"] == 0
    assert shares["their own, poor"] < 0.02
    assert shares["an enrolled person's"] > 0.98
    assert shares["an unenrolled person's"] < 0.05


def test_suggestions_are_right_about_planted_faults() -> None:
    data = corrupt(1000)
    scores = consistency.score(data, measure(data.faces, consistency.VERIFY))
    for suggestion in (Suggestion.MOVE_FACE, Suggestion.MOVE_OTHER_FACE, Suggestion.MERGE_PERSONS):
        assert scores[suggestion].suggested > 20
        assert scores[suggestion].precision >= 0.95
    assert scores[Suggestion.MOVE_FACE].recall >= 0.75
    assert scores[Suggestion.MERGE_PERSONS].recall >= 0.9
