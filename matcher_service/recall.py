"""How searches by a collection's index compare with exact ones, on probes drawn from its own people."""

import dataclasses
import math
import time

import numpy as np
import numpy.typing as npt

from matcher_service import deadline
from matcher_service.calibration import Z
from matcher_service.database import DIMENSIONS, Database
from matcher_service.database_errors import tried_anew
from matcher_service.errors import CollectionNotFound
from matcher_service.faces import Encoding
from matcher_service.queries import of_collection
from matcher_service.query import Found, Query
from matcher_service.scanning import Scanner
from matcher_service.search import Search

MIN_SAMPLES, DEFAULT_SAMPLES, MAX_SAMPLES = 20, 200, 1000
LONGEST_SECONDS = 600.0
TIME_SHARE = 0.8  # of what the caller waits: the rest is for the answer


@dataclasses.dataclass(frozen=True)
class Proportion:
    """A share of a sample with its 95 % interval, Wilson's (1927)."""

    count: int
    of: int

    @property
    def value(self) -> float:
        """The share."""
        return self.count / self.of

    @property
    def interval(self) -> tuple[float, float]:
        """Its lower and upper end."""
        center = (self.value + Z**2 / (2 * self.of)) / (1 + Z**2 / self.of)
        spread = self.value * (1 - self.value) / self.of + Z**2 / (4 * self.of**2)
        half = Z / (1 + Z**2 / self.of) * math.sqrt(spread)
        return (center - half if self.count else 0.0), (center + half if self.count < self.of else 1.0)


@dataclasses.dataclass(frozen=True)
class Recall:
    """Counts of searches: all, those for whom an exact scan finds somebody, those of them whom the index
    alone finds, those answered as an exact scan answers, and those that took one.
    """

    indexed: bool
    samples: int = 0
    known: int = 0
    found: int = 0
    agreed: int = 0
    confirmed: int = 0


class RecallMeter:
    """Searches twice for each probe: as Identify does, and exactly, on the connections that those have."""

    def __init__(self, database: Database, search: Search, scanner: Scanner) -> None:
        self._database = database
        self._search = search
        self._scanner = scanner

    @tried_anew
    async def measure(self, collection_id: str, samples: int) -> Recall:
        """Compare up to so many searches, fewer where the caller's time is up or people are few.

        Raises as Store does, and Overloaded.
        """
        ends = time.monotonic() + TIME_SHARE * deadline.remaining_seconds(LONGEST_SECONDS)
        queries = of_collection(collection_id)
        async with self._database.scan_connection() as connection:
            row = await connection.fetchrow(queries["get_collection"], collection_id)
            if row is None:
                raise CollectionNotFound
            if row["exact_only"] or row["index_effort"] is None:
                return Recall(indexed=False)
            drawn = await connection.fetch(queries["draw_probes"], collection_id, samples)
        total = Recall(indexed=True)
        for each in drawn:
            if time.monotonic() > ends:
                break
            face = Encoding(_values(each["probe"]), row["space"], "")
            total = await self._compare(Query(collection_id, face, None, 1), total)
        return total

    async def _compare(self, query: Query, total: Recall) -> Recall:
        """Search in each way."""
        exact = (await self._scanner.scan(query)).found
        index, identify, confirmed = await self._search.answers(query)
        known = bool(exact.candidates)
        return Recall(
            indexed=True,
            samples=total.samples + 1,
            known=total.known + known,
            found=total.found + (known and _same(index, exact)),
            # Where the answer was confirmed it is the exact scan's own.
            agreed=total.agreed + (confirmed or _same(identify, exact)),
            confirmed=total.confirmed + confirmed,
        )


def _same(a: Found, b: Found) -> bool:
    """Whether two searches found one nearest person, or two equally near."""
    return [each.distance for each in a.candidates[:1]] == [each.distance for each in b.candidates[:1]]


def _values(wire: bytes) -> npt.NDArray[np.float32]:
    return np.frombuffer(wire, ">f4", DIMENSIONS, 4).astype(np.float32)
