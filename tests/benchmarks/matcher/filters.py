"""Identify among some people beside Identify among all, of enrolled faces and of others."""

import json
import time
from dataclasses import dataclass, field
from typing import Self

import numpy as np
import numpy.typing as npt

from facerec.matcher.v1 import matcher_pb2 as pb
from matcher_service.postgres.statements import partition_name
from tests.benchmarks.matcher import calls
from tests.benchmarks.matcher.stage import Stage, connected
from tests.benchmarks.matcher.tables import Table, milliseconds
from tests.benchmarks.vectors import Faces, Keys, Vectors
from tests.fixtures.dataset import person_id

PERSON = partition_name("person", "default")
IDENTIFY_THRESHOLD = 0.5  # of a new collection
SHARES = (2, 100, 5000, 100_000)  # a label's values, which people have in turn
MARGIN = 0.02  # over the threshold, where a float32 distance is measured again in float64


@dataclass(frozen=True)
class Kind:
    """A kind of filter: a label with so many values, one of which is asked for, or so many ids."""

    values: int = 0
    ids: int = 0
    times: dict[str, list[float]] = field(default_factory=lambda: {"enrolled": [], "unenrolled": []})
    differences: list[bool] = field(default_factory=list)
    stated_exact: list[bool] = field(default_factory=list)

    def selects(self, among: int, everybody: int) -> range:
        """The people whom the filter selects that is to select a person."""
        if self.values:
            return range(among % self.values, everybody, self.values)
        first = max(0, min(among, everybody - self.ids)) if self.ids else 0
        return range(first, first + self.ids if self.ids else everybody)

    def message(self, among: int, everybody: int) -> pb.PersonFilter | None:
        """That filter; None for everybody."""
        if self.values:
            values = pb.LabelValues(values=[f"v{among % self.values}"])
            return pb.PersonFilter(labels={f"of{self.values}": values})
        return (
            pb.PersonFilter(person_ids=map(person_id, self.selects(among, everybody))) if self.ids else None
        )

    def name(self, everybody: int) -> str:
        """A row's name."""
        if self.values:
            return f"a label of {self.values} values"
        return f"{self.ids} ids" if self.ids else f"none, {everybody:,} people"


async def run(stage: Stage, *, probes: int = 1000) -> Table:
    """Ask every kind in turn for each probe, and Verify, and compare the decisions with numpy's."""
    everybody = stage.dataset.people
    await _label(stage)
    kinds = [
        Kind(),
        *(Kind(values=values) for values in SHARES),
        *(Kind(ids=ids) for ids in (1, 10, 100, 1000)),
    ]
    kinds = [kind for kind in kinds if kind.ids <= everybody and kind.values <= everybody]
    verified: dict[str, list[float]] = {"enrolled": [], "unenrolled": []}
    genuine = stage.dataset.genuine(probes, draw=7)
    unenrolled = stage.dataset.non_mated(probes, draw=7)
    squared_norms = np.einsum("ij,ij->i", stage.faces.encodings, stage.faces.encodings)
    for number in range(probes):
        among = int(genuine.people[number])
        for group, vector in (("enrolled", genuine.encodings[number]), ("unenrolled", unenrolled[number])):
            near = Near.of(stage.faces, squared_norms, vector)
            start = time.perf_counter()
            await stage.calls.stub.Verify(calls.verify(among, vector))
            verified[group].append(time.perf_counter() - start)
            for kind in kinds:
                request = calls.identify(vector, max_candidates=1)
                if chosen := kind.message(among, everybody):
                    request.filter.CopyFrom(chosen)
                start = time.perf_counter()
                answer = await stage.calls.identify(request)
                kind.times[group].append(time.perf_counter() - start)
                kind.stated_exact.append(answer.exact)
                kind.differences.append(calls.who(answer) != near.nearest(kind.selects(among, everybody)))
    return Table(
        f"Identify among some of {len(stage.faces.people):,} faces, p50",
        (
            "filter",
            "people",
            "enrolled, ms",
            "unenrolled, ms",
            "decisions unlike numpy's",
            "of those stated exact",
        ),
        [
            (
                kind.name(everybody),
                f"{len(kind.selects(0, everybody)):,}",
                *(f"{milliseconds(np.array(kind.times[group])):.1f}" for group in kind.times),
                f"{sum(kind.differences)} of {len(kind.differences)}",
                f"{sum(map(min, kind.differences, kind.stated_exact))} of {sum(kind.stated_exact)}",
            )
            for kind in kinds
        ]
        + [("Verify", "1", *(f"{milliseconds(np.array(times)):.1f}" for times in verified.values()), "", "")],
    )


@dataclass(frozen=True)
class Near:
    """The faces within the threshold of a vector: whose they are, and their distances, float64, by numpy."""

    people: Keys
    distances: npt.NDArray[np.float64]

    @classmethod
    def of(cls, faces: Faces, squared_norms: Vectors, vector: Vectors) -> Self:
        """Find them by a float32 product, whose error is far below the margin, and measure those."""
        squared = squared_norms - 2 * (faces.encodings @ vector) + vector @ vector
        rows = np.flatnonzero(squared <= (IDENTIFY_THRESHOLD + MARGIN) ** 2)
        exact = np.linalg.norm(faces.encodings[rows].astype(float) - vector.astype(float), axis=1)
        return cls(faces.people[rows], exact)

    def nearest(self, among: range) -> int | None:
        """The nearest of these people with a face within the threshold; None for nobody."""
        chosen = np.array([person in among for person in self.people.tolist()], bool)
        chosen &= self.distances <= IDENTIFY_THRESHOLD
        if not chosen.any():
            return None
        return int(self.people[chosen][self.distances[chosen].argmin()])


async def _label(stage: Stage) -> None:
    """Give people their labels, unless they have them from an earlier run."""
    async with connected(stage.url) as connection:
        if await connection.fetchval(f"SELECT EXISTS (SELECT FROM facerec.{PERSON} WHERE labels <> '{{}}')"):
            return
        people = range(stage.dataset.people)
        labels = [json.dumps({f"of{values}": f"v{each % values}" for values in SHARES}) for each in people]
        await connection.execute(
            f"UPDATE facerec.{PERSON} p SET labels = g.labels::jsonb"
            " FROM unnest($1::text[], $2::text[]) AS g(person_id, labels) WHERE p.person_id = g.person_id",
            list(map(person_id, people)),
            labels,
        )
        await connection.execute(f"VACUUM ANALYZE facerec.{PERSON}")
