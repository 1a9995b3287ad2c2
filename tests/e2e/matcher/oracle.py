"""A model of a collection in dicts and numpy, to compare a matcher's answers with."""

import dataclasses

import numpy as np

from tests.e2e.matcher.requests import vectors

# Four clusters a little apart, so that distances fall on both sides of every threshold drawn.
CENTRES = 0.35 * vectors(4)
VECTORS = (CENTRES.repeat(3, axis=0) + 0.15 * vectors(12, seed=1)).astype(np.float32)

DUPLICATE_THRESHOLD = 0.5


@dataclasses.dataclass
class Tenant:
    """One collection: person to {vector's index: face id}, and what request ids were answered with.

    `lives` tells which enrollment of a person it is, counted over erasures.
    """

    people: dict[str, dict[int, str]] = dataclasses.field(default_factory=dict)
    lives: dict[str, int] = dataclasses.field(default_factory=dict)
    requests: dict[str, tuple[str, tuple[int, ...], int, list[str]]] = dataclasses.field(default_factory=dict)

    def nearest(self, person: str, probe: int) -> tuple[float, str]:
        """The distance and id of a person's face nearest to a vector."""
        held = self.people[person]
        measured = (
            (float(np.linalg.norm(VECTORS[face].astype(float) - VECTORS[probe])), held[face]) for face in held
        )
        return min(measured)

    def ranked(self, probe: int) -> list[tuple[float, str]]:
        """Everybody with a face by their distance from a vector, nearest first."""
        return sorted(
            (self.nearest(person, probe)[0], person) for person, held in self.people.items() if held
        )

    def duplicate(self, person: str, face: int) -> str:
        """The nearest other person as near as a duplicate, or nobody."""
        others = [(distance, other) for distance, other in self.ranked(face) if other != person]
        distance, other = min(others, default=(9.0, ""))
        return other if distance <= DUPLICATE_THRESHOLD else ""

    def faces(self) -> int:
        """How many faces there are."""
        return sum(map(len, self.people.values()))

    def named(self, life: int) -> str | None:
        """Who has that life, by the name they have now."""
        return next((person for person, of in self.lives.items() if of == life), None)

    def move(self, giver: str, target: str, face_ids: list[str]) -> None:
        """Give faces to somebody; of copies the target's own stay."""
        held = self.people[giver]
        for face, face_id in list(held.items()):
            if face_id in face_ids:
                del held[face]
                self.people[target].setdefault(face, face_id)

    def merge(self, source: str, target: str) -> int:
        """Give the source's faces to the target; how many the target did not have."""
        given = self.people.pop(source)
        self.lives.pop(source)
        new = given.keys() - self.people[target].keys()
        self.people[target] |= {face: given[face] for face in new}
        return len(new)
