"""A model of a collection in dicts and numpy, to compare a matcher's answers with."""

import dataclasses
from collections.abc import Collection

import numpy as np

from tests.e2e.matcher.requests import vectors

# Four clusters a little apart, so that distances fall on both sides of every threshold drawn.
CENTRES = 0.35 * vectors(4)
VECTORS = (CENTRES.repeat(3, axis=0) + 0.15 * vectors(12, seed=1)).astype(np.float32)

DUPLICATE_THRESHOLD = 0.5


@dataclasses.dataclass
class Traits:
    """What is stored of a person besides faces.

    `changes` are the actions of their audit events, `mark` is a text that nobody else ever had.
    """

    suspended: bool = False
    team: str = ""
    mark: str = ""
    changes: list[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Tenant:
    """One collection: person to {vector's index: face id}, and what request ids were answered with.

    `lives` tells which enrollment of a person it is, counted over erasures.
    """

    people: dict[str, dict[int, str]] = dataclasses.field(default_factory=dict)
    lives: dict[str, int] = dataclasses.field(default_factory=dict)
    requests: dict[str, tuple[str, tuple[int, ...], int, list[str]]] = dataclasses.field(default_factory=dict)
    traits: dict[str, Traits] = dataclasses.field(default_factory=dict)
    merges: list[tuple[str, list[str]]] = dataclasses.field(default_factory=list)
    erased: list[str] = dataclasses.field(default_factory=list)

    def add(self, person: str, life: int, *, suspended: bool = False) -> None:
        """Add somebody without a face."""
        self.people[person], self.lives[person] = {}, life
        self.traits[person] = Traits(suspended)

    def erase(self, person: str) -> dict[int, str] | None:
        """Erase somebody, if there; the faces that they had."""
        self.lives.pop(person, None)
        if person in self.traits and (mark := self.traits.pop(person).mark):
            self.erased.append(mark)
        return self.people.pop(person, None)

    def rename(self, person: str, new: str) -> None:
        """Give somebody another name."""
        self.people[new], self.lives[new] = self.people.pop(person), self.lives.pop(person)
        self.traits[new] = self.traits.pop(person)
        self.traits[new].changes.append("RENAME_PERSON")

    def active(self) -> set[str]:
        """Who is not suspended."""
        return {person for person in self.people if not self.traits[person].suspended}

    def nearest(self, person: str, probe: int) -> tuple[float, str]:
        """The distance and id of a person's face nearest to a vector."""
        held = self.people[person]
        measured = (
            (float(np.linalg.norm(VECTORS[face].astype(float) - VECTORS[probe])), held[face]) for face in held
        )
        return min(measured)

    def ranked(self, probe: int, among: Collection[str]) -> list[tuple[float, str]]:
        """Those among some who have a face by their distance from a vector, nearest first."""
        return sorted((self.nearest(person, probe)[0], person) for person in among if self.people[person])

    def duplicate(self, person: str, face: int) -> str:
        """The nearest other person as near as a duplicate, or nobody."""
        others = self.ranked(face, self.people.keys() - {person})
        distance, other = min(others, default=(9.0, ""))
        return other if distance <= DUPLICATE_THRESHOLD else ""

    def faces(self, among: Collection[str] | None = None) -> int:
        """How many faces there are, of everybody or of some."""
        return sum(len(self.people[person]) for person in (self.people if among is None else among))

    def named(self, life: int) -> str | None:
        """Who has that life, by the name they have now."""
        return next((person for person, of in self.lives.items() if of == life), None)

    def any_suspended(self, face_ids: Collection[str]) -> bool:
        """Whether one of the faces is of somebody who is suspended."""
        return any(
            self.traits[person].suspended and not held.keys().isdisjoint(_indexes(held, face_ids))
            for person, held in self.people.items()
        )

    def move(self, face_ids: Collection[str], target: str) -> tuple[int, int]:
        """Give faces to somebody; of copies the target's own stay. Counts of those moved, and of copies."""
        moved = copies = 0
        for giver, held in self.people.items():
            given = _indexes(held, face_ids) if giver != target else []
            new = [face for face in given if face not in self.people[target]]
            for face in given:
                face_id = held.pop(face)
                self.people[target].setdefault(face, face_id)
            moved, copies = moved + len(new), copies + len(given) - len(new)
            if given:
                self.traits[giver].changes.append("MOVE_FACES")
        if moved or copies:
            self.traits[target].changes.append("MOVE_FACES")
        return moved, copies

    def merge(self, source: str, target: str) -> int:
        """Give the source's faces to the target, who is suspended if either is; how many are new to it."""
        self.traits[target].suspended |= self.traits[source].suspended
        self.traits[target].changes.append("MERGE_PERSONS")
        given = self.erase(source) or {}
        new = given.keys() - self.people[target].keys()
        self.people[target] |= {face: given[face] for face in new}
        return len(new)


def _indexes(held: dict[int, str], face_ids: Collection[str]) -> list[int]:
    return [face for face, face_id in held.items() if face_id in face_ids]
