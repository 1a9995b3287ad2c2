"""What is imported: rows of a source, and the calls that they are sent in."""

import dataclasses
import hashlib
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from facerec.sources.rows import Row, SourceBatch

CALL_BATCHES = 10


@dataclasses.dataclass
class Share:
    """How much of a source was read, from 0 to 1; None where its size is not known, as of a query."""

    value: float | None = None

    def set(self, value: float) -> None:
        """Note how much was read."""
        self.value = value


@dataclasses.dataclass(frozen=True)
class Reader:
    """Rows of a source in one order, how many of them were read, and what names its content.

    `again` reads the source from its beginning once more.
    """

    digest: str
    rows: "AsyncIterator[Row]"
    again: "Callable[[], AsyncIterator[Row]]"
    share: Share = dataclasses.field(default_factory=Share)


@dataclasses.dataclass(frozen=True)
class Job:
    """What is imported, and where."""

    reader: Reader
    space: str
    dry_run: bool
    collection: str
    ignore_duplicate_policy: bool = False

    def import_id(self, earlier: int) -> str:
        """The same for the same content, space and collection, and number of earlier imports of them."""
        named = f"{self.reader.digest}\0{self.space}\0{self.collection}" + (f"\0{earlier}" if earlier else "")
        return hashlib.sha256(named.encode()).hexdigest()[:32]


async def calls(rows: "AsyncIterator[Row]", skip: int) -> "AsyncIterator[list[SourceBatch]]":
    """Rows as calls of some batches each, but for those that are in already."""
    from facerec.sources.rows import BATCH_FACES, batches

    waiting: list[Row] = []
    number = 0
    async for row in rows:
        number += 1
        if number > skip:
            waiting.append(row)
        if len(waiting) == CALL_BATCHES * BATCH_FACES:
            yield list(batches(waiting))
            waiting = []
    if waiting:
        yield list(batches(waiting))
