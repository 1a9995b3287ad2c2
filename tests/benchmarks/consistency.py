"""How often photos are flagged, right and wrong ones, and suggestions right: `make bench-consistency`.

Everything is computed with numpy over generated faces; tests hold the matcher to the same faces.
"""

import argparse
import dataclasses

import numpy as np

from matcher_service.duplicates.inconsistent import Likeness, Suggestion, suggest
from tests.benchmarks.corruptions import Corrupted, Nearest, corrupt, displaced, measure
from tests.benchmarks.vectors import Dataset, Faces, Keys

BOUNDS = (9.0, 0.6, 0.5, 0.4)  # of the other person's distance: none, and three
DUPLICATE, VERIFY = 0.5, 0.6  # thresholds of a new collection


@dataclasses.dataclass(frozen=True)
class Score:
    """How many suggestions of a kind were right, and how many faults they found."""

    suggested: int
    right: int
    faults: int
    found: int

    @property
    def precision(self) -> float:
        """The share of the suggestions that are right; 1 without any."""
        return self.right / self.suggested if self.suggested else 1.0

    @property
    def recall(self) -> float:
        """The share of the faults that are found; 1 without any."""
        return self.found / self.faults if self.faults else 1.0


def flagged(people: int, photos: int, probes: int) -> dict[str, list[float]]:
    """The share of enrolled photos that are flagged, by what they show and for each of BOUNDS."""
    dataset = Dataset(people, photos, even=True, seed=7)
    faces = dataset.all()
    random = np.random.default_rng(3)
    right, wrong = dataset.genuine(probes, draw=1), dataset.genuine(probes, draw=2)
    poor = Faces(right.people, displaced(right.encodings, faces.encodings, random))
    claimed = (wrong.people + random.integers(1, people, probes)) % people
    unenrolled = Faces(random.integers(0, people, probes), dataset.non_mated(probes, draw=1))
    kinds = {
        "their own": right,
        "their own, poor": poor,
        "an enrolled person's": Faces(claimed, wrong.encodings),
        "an unenrolled person's": unenrolled,
    }
    shares = {}
    for kind, asked in kinds.items():
        found = measure(faces, VERIFY, asked, block=200)
        shares[kind] = [float(found.inconsistent(bound).mean()) for bound in BOUNDS]
    return shares


def suggestions(found: Nearest) -> list[Suggestion | None]:
    """What is suggested for each face of a collection; None for one that is consistent."""
    likeness = [
        Likeness(int(faces), int(within))
        for faces, within in zip(found.own_faces, found.own_within, strict=True)
    ]
    return [
        suggest(own, likeness[face], likeness[other], max_distance=DUPLICATE) if shown else None
        for face, (shown, own, other) in enumerate(
            zip(found.inconsistent(DUPLICATE), found.own_distance, found.other_face, strict=True)
        )
    ]


def score(data: Corrupted, found: Nearest) -> dict[Suggestion, Score]:
    """How right the suggestions are.

    To move a face is right if it is under a wrong id and goes to one of whose face it is; the faults are such
    faces. To merge is right between two ids of one human, and the faults are humans with two ids. Of REVIEW
    only the number is known.
    """
    owner = _human_of_ids(data)[data.faces.people]
    chosen = np.array([each.value if each else "" for each in suggestions(found)])
    other, faces = found.other_face, np.arange(len(owner))
    scores = {}
    for suggestion, moved, to in (
        (Suggestion.MOVE_FACE, faces, owner[other]),
        (Suggestion.MOVE_OTHER_FACE, other, owner),
    ):
        made = chosen == suggestion.value
        right = made & data.moved[moved] & (data.identities[moved] == to)
        found_faces = len(np.unique(moved[right]))
        scores[suggestion] = Score(int(made.sum()), int(right.sum()), int(data.moved.sum()), found_faces)
    made, right = chosen == Suggestion.MERGE_PERSONS.value, owner == owner[other]
    humans = len(np.unique(owner[made & right]))
    ids = len(np.unique(data.faces.people)) - len(np.unique(owner))
    scores[Suggestion.MERGE_PERSONS] = Score(int(made.sum()), int((made & right).sum()), ids, humans)
    scores[Suggestion.REVIEW] = Score(int((chosen == Suggestion.REVIEW.value).sum()), 0, 0, 0)
    return scores


def _human_of_ids(data: Corrupted) -> Keys:
    """Whose each id is, by its number: of whom those faces are that were not moved to it."""
    humans = np.full(int(data.faces.people.max()) + 1, -1)
    humans[data.faces.people[~data.moved]] = data.identities[~data.moved]
    return humans


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, nargs="*", default=[1000, 10_000])
    parser.add_argument("--probes", type=int, default=2000)
    options = parser.parse_args()
    bounds = ["without a bound" if bound > 4 else f"within {bound}" for bound in BOUNDS]
    _row("people", "photos", "a new photo of", *bounds)
    for people in options.people:
        for photos in (1, 2, 5):
            for kind, shares in flagged(people, photos, options.probes).items():
                _row(people, photos, kind, *(f"{each:.2%}" for each in shares))
    _row("people", "suggestion", "made", "right", "faults", "found")
    for people in options.people:
        data = corrupt(people)
        for suggestion, made in score(data, measure(data.faces, VERIFY, block=200)).items():
            _row(people, suggestion.name, made.suggested, made.right, made.faults, made.found)


def _row(*values: object) -> None:
    """Print a line of a table."""
    print(f"| {' | '.join(map(str, values))} |", flush=True)


if __name__ == "__main__":
    main()
