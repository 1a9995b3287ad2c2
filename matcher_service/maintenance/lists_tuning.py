"""Measures how often an index proposes the right person, and finds how few of its lists are enough."""

import dataclasses
import math

from matcher_service.domain.proportion import Proportion
from matcher_service.identification.recall_sampling import RecallSamples, draw_recall_samples
from matcher_service.identification.search import REDUCED_LISTS
from matcher_service.postgres.session import Connection, Session

TUNING_SAMPLES = 1000  # of ordinary and of far faces each, to find a number of lists that may be enough
VALIDATION_SAMPLES = 2000  # of each kind, drawn separately, to confirm that number
MIN_SAMPLES = 100  # fewer say nothing about a share close to 1
_LIST_SHARES = (
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
class IndexRecall:
    """The recall of an index where a query reads `lists_read` of its lists (pgvector calls those probes).

    `ordinary` and `far` are the shares of samples whose person the index proposes: of any faces, and of faces
    far from their person's centers. Both are None where there are too few people to measure. `lists_read` is
    None where even all lists miss the target recall: the index is then not used.
    """

    lists_read: int | None
    ordinary: Proportion | None
    far: Proportion | None

    @property
    def columns(self) -> dict[str, float | None]:
        """As `set_index_recall` takes them."""
        ordinary, far = self.ordinary, self.far
        return {
            "lists_read": self.lists_read,
            "recall": ordinary.value if ordinary else None,
            "samples": ordinary.of if ordinary else None,
            "far_recall": far.value if far else None,
            "far_samples": far.of if far else None,
        }

    @property
    def logged(self) -> dict[str, object]:
        """The fields of the log line."""
        fields: dict[str, object] = {"probes": self.lists_read}
        for name, share in (("recall", self.ordinary), ("far_recall", self.far)):
            fields[name] = share and share.value
            fields[f"{name}_interval"] = share and [round(end, 4) for end in share.interval]
        return fields


class ListsTuner:
    """Finds how many lists of a collection's index a query must read, on samples made of its own faces."""

    def __init__(
        self, connection: Connection, collection_id: str, *, lists: int, target_recall: float
    ) -> None:
        self._session = Session(connection, collection_id, role="maintenance")
        self._serving = Session(connection, collection_id)
        self._lists = lists
        self._target = target_recall

    async def choose(self, current: int | None = None) -> IndexRecall:
        """Return the fewest lists that reach the target on both kinds of samples; `current` if it does.

        Where there are too few people to measure, all lists are read, by the reduced-probe query too.
        """
        validation = await self._draw(VALIDATION_SAMPLES)
        if min(len(sample.person_keys) for sample in validation) < MIN_SAMPLES:
            # More than there are, so that even the share REDUCED_LISTS, of the first query, is all of them.
            return IndexRecall(math.ceil(self._lists / REDUCED_LISTS), None, None)
        if current is not None and self._reaches(measured := await self._measure(current, validation)):
            return measured
        choices = sorted({max(1, round(share * self._lists)) for share in _LIST_SHARES})
        more = [each for each in choices if each > (current or 0)] or choices[-1:]
        index = await self._find_least(more, await self._draw(TUNING_SAMPLES))
        # The samples that chose a number overrate it, so samples of their own decide on it, or the one below.
        for lists_read in more[max(index - 1, 0) :]:
            found = await self._measure(lists_read, validation)
            if self._reaches(found):
                return found
        return dataclasses.replace(found, lists_read=None)

    async def _find_least(self, choices: list[int], samples: list[RecallSamples]) -> int:
        """The index in `choices` of the first number of lists that reaches the target, or of the last."""
        low, high = 0, len(choices) - 1
        while low < high:  # recall grows with the number of lists read
            middle = (low + high) // 2
            enough = self._reaches(await self._measure(choices[middle], samples))
            low, high = (low, middle) if enough else (middle + 1, high)
        return low

    async def _draw(self, count: int) -> list[RecallSamples]:
        return [await draw_recall_samples(self._serving, count, far=far) for far in (False, True)]

    def _reaches(self, recall: IndexRecall) -> bool:
        return all(
            share is not None and share.value >= self._target for share in (recall.ordinary, recall.far)
        )

    async def _measure(self, lists_read: int, samples: list[RecallSamples]) -> IndexRecall:
        shares = []
        async with self._session.transaction():
            await self._session.execute("search_by_index", lists_read=str(lists_read))
            for sample in samples:
                found = await self._session.value(
                    "count_proposed", person_keys=sample.person_keys, sample_encodings=sample.encoded
                )
                shares.append(Proportion(found, len(sample.person_keys)))
        return IndexRecall(lists_read, *shares)
