"""How often an index proposes the right person, and the least effort that is enough."""

import dataclasses
import math

from matcher_service.domain.proportion import Proportion
from matcher_service.identification.recall_sampling import Probes, draw_recall_samples
from matcher_service.identification.search import REDUCED_PROBES
from matcher_service.postgres.session import Connection, Session

SEARCHING_PROBES = 1000  # of either kind, to find about what is enough
JUDGING_PROBES = 2000  # of either kind, to say that it is
MIN_PROBES = 100  # fewer say nothing about a share close to 1
_SHARES = (
    0.005,
    0.01,
    0.02,
    0.03,
    0.04,
    0.05,
    0.06,
    0.07,
    0.08,
    0.1,
    0.13,
    0.17,
    0.2,
    0.25,
    0.3,
    0.4,
    0.55,
    0.75,
    1.0,
)


@dataclasses.dataclass(frozen=True)
class Effort:
    """Lists to search, and the shares of probes whose person is proposed: of any faces and of those far from
    their person's centers. Both are None where people are too few to say.

    `probes` is None where even all lists fall short of the target: then the index is not to be asked.
    """

    probes: int | None
    ordinary: Proportion | None
    far: Proportion | None

    @property
    def columns(self) -> dict[str, float | None]:
        """As `set_index_recall` takes them."""
        ordinary, far = self.ordinary, self.far
        return {
            "probes": self.probes,
            "recall": ordinary.value if ordinary else None,
            "samples": ordinary.of if ordinary else None,
            "far_recall": far.value if far else None,
            "far_samples": far.of if far else None,
        }

    @property
    def logged(self) -> dict[str, object]:
        """What the log says of it."""
        fields: dict[str, object] = {"probes": self.probes}
        for name, share in (("recall", self.ordinary), ("far_recall", self.far)):
            fields[name] = share and share.value
            fields[f"{name}_interval"] = share and [round(end, 4) for end in share.interval]
        return fields


class EffortMeter:
    """Measures a collection's index on probes of its own people, of faces anywhere and of those far away."""

    def __init__(
        self, connection: Connection, collection_id: str, *, lists: int, target_recall: float
    ) -> None:
        self._session = Session(connection, collection_id, role="maintenance")
        self._serving = Session(connection, collection_id)
        self._lists = lists
        self._target = target_recall

    async def choose(self, effort: int | None = None) -> Effort:
        """Find the least number of lists that reaches the target on both kinds, `effort` where it does.

        Where people are too few to measure on, all lists are searched, by the first look too.
        """
        judges = await self._draw(JUDGING_PROBES)
        if min(len(sample.person_keys) for sample in judges) < MIN_PROBES:
            return Effort(math.ceil(self._lists / REDUCED_PROBES), None, None)
        if effort is not None and self._reaches(kept := await self._measure(effort, judges)):
            return kept
        efforts = sorted({max(1, round(share * self._lists)) for share in _SHARES})
        more = [each for each in efforts if each > (effort or 0)] or efforts[-1:]
        place = await self._find_least(more, await self._draw(SEARCHING_PROBES))
        # What chose an effort flatters it: probes of its own say whether it is enough, or the one below.
        for probes in more[max(place - 1, 0) :]:
            found = await self._measure(probes, judges)
            if self._reaches(found):
                return found
        return dataclasses.replace(found, probes=None)

    async def _find_least(self, efforts: list[int], samples: list[Probes]) -> int:
        """The place of the first effort that reaches the target, or of the last."""
        low, high = 0, len(efforts) - 1
        while low < high:  # recall grows with effort
            middle = (low + high) // 2
            enough = self._reaches(await self._measure(efforts[middle], samples))
            low, high = (low, middle) if enough else (middle + 1, high)
        return low

    async def _draw(self, count: int) -> list[Probes]:
        return [await draw_recall_samples(self._serving, count, far=far) for far in (False, True)]

    def _reaches(self, effort: Effort) -> bool:
        return all(
            share is not None and share.value >= self._target for share in (effort.ordinary, effort.far)
        )

    async def _measure(self, probes: int, samples: list[Probes]) -> Effort:
        shares = []
        async with self._session.transaction():
            await self._session.execute("search_by_index", probes=str(probes))
            for sample in samples:
                found = await self._session.value(
                    "count_proposed", person_keys=sample.person_keys, probe_encodings=sample.wires
                )
                shares.append(Proportion(found, len(sample.person_keys)))
        return Effort(probes, *shares)
