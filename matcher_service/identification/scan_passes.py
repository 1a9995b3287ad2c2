"""The probes of an exact scan, and which statement compares which of them."""

import dataclasses
import functools
import uuid
from collections.abc import Sequence
from typing import Any

import numpy as np

from matcher_service.domain.faces import Encoding
from matcher_service.identification import sketches
from matcher_service.identification.query import COUNTED_PERSONS, Query
from matcher_service.postgres.session import Row
from matcher_service.postgres.vectors import read_vectors, vector_wire

STEP_BLOCKS = 250  # of 8 kB: 3,300 faces or 9,200 sketches, a millisecond or two for one probe and 7 for 16


@dataclasses.dataclass
class Probe:
    """What is searched for, and what was found: persons' keys, faces' ids and distances.

    `wire` is None for what is not there, or is no vector of the collection's space.
    """

    query: Query
    head: Row
    threshold: float
    wire: bytes | None
    found: bool
    person_keys: list[int] = dataclasses.field(default_factory=list)
    face_ids: list[uuid.UUID] = dataclasses.field(default_factory=list)
    distances: list[float] = dataclasses.field(default_factory=list)

    @classmethod
    def of(cls, query: Query, head: Row) -> "Probe":
        """Read a row of `begin_scan`."""
        threshold = head["identify_threshold"] if query.max_distance is None else query.max_distance
        if isinstance(query.face, Encoding):
            wire = vector_wire(query.face.values) if query.space == head["space"] else None
            return cls(query, head, threshold, wire, found=True)
        return cls(query, head, threshold, head["encoding"], found=head["encoding"] is not None)

    @property
    def by_sketch(self) -> bool:
        """Whether sketches decide: by collection and threshold alone: the path reveals no distance."""
        greatest = self.head["sketch_max_distance"]
        return greatest is not None and self.threshold <= greatest

    def values(self, *, by_sketch: bool) -> dict[str, Any]:
        """The parameters of the statement for this probe."""
        assert self.wire is not None
        values: dict[str, Any] = {"encoding": self.wire, "max_distance": self.threshold}
        if by_sketch:
            norm = float(np.linalg.norm(read_vectors([self.wire]).astype(float)))
            values["sketch"] = self.head["sketch"]
            values["max_sketch_distance"] = sketches.squared_limit(self.threshold, norm)
        return values

    def add(self, row: Row) -> None:
        """Take over a row of a scan."""
        self.person_keys.append(row["person_key"])
        self.face_ids.append(row["face_id"])
        self.distances.append(row["distance"])


@dataclasses.dataclass(frozen=True)
class Pass:
    """What a statement, or one a step, does: compares all rows of a table with some of the probes.

    The statement is for 1, 2, 4, 8 or 16 probes, of which the last may be none: so few are prepared.
    """

    by_sketch: bool
    probes: Sequence[Probe]

    @property
    def blocks(self) -> int:
        """The blocks of the table to read."""
        blocks: int = self.probes[0].head["sketch_blocks" if self.by_sketch else "face_blocks"]
        return blocks

    @property
    def statement(self) -> str:
        """The statement's name."""
        return "scan_sketches" if self.by_sketch else "scan_faces"

    @functools.cached_property
    def values(self) -> dict[str, Any]:
        """Its parameters, other than rows."""
        count = 1 << (len(self.probes) - 1).bit_length()
        padded = [*self.probes, *[None] * (count - len(self.probes))]
        given = [probe.values(by_sketch=self.by_sketch) if probe else {} for probe in padded]
        values = {f"{name}_{n}": each.get(name) for name in given[0] for n, each in enumerate(given, 1)}
        by_ids = [probe is not None and not probe.query.scores for probe in padded]
        shared = {
            "by_ids": by_ids,
            "labels_paths": [probe.query.labels_path if probe else None for probe in padded],
            "with_suspended": [probe is not None and probe.query.with_suspended for probe in padded],
            "left_out_keys": [probe.query.left_out_key if probe else None for probe in padded],
            "max_persons": COUNTED_PERSONS,
        }
        return {"probes": count, **shared, **values}


def passes(probes: Sequence[Probe]) -> list[Pass]:
    """Those that sketches decide apart from the others; none for probes without a vector."""
    searched = [probe for probe in probes if probe.wire is not None]
    parts = [
        Pass(by_sketch, [probe for probe in searched if probe.by_sketch is by_sketch])
        for by_sketch in (True, False)
    ]
    return [part for part in parts if part.probes]
