"""An import's source and target, and its rows grouped into calls."""

import dataclasses
import hashlib
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from facerec.sources.rows import Row, SourceBatch

CALL_BATCHES = 10


@dataclasses.dataclass
class ReadProgress:
    """The share of a source that was read, 0 to 1; None if its size is unknown, as for a query."""

    share: float | None = None

    def set(self, share: float) -> None:
        """Set the share that was read."""
        self.share = share


@dataclasses.dataclass(frozen=True)
class Reader:
    """The rows of a source in a fixed order, a digest of its content, and the reading's progress.

    `reopen` reads the source again from its beginning.
    """

    digest: str
    rows: "AsyncIterator[Row]"
    reopen: "Callable[[], AsyncIterator[Row]]"
    progress: ReadProgress = dataclasses.field(default_factory=ReadProgress)


@dataclasses.dataclass(frozen=True)
class Job:
    """What is imported, and into which collection; an empty `space` stands for that of the source's rows."""

    reader: Reader
    space: str
    dry_run: bool
    collection: str
    ignore_duplicate_policy: bool = False

    def import_id(self, finished: int) -> str:
        """An id derived from content, space, collection, and the number of finished imports of these."""
        content = f"{self.reader.digest}\0{self.space}\0{self.collection}"
        content += f"\0{finished}" if finished else ""
        return hashlib.sha256(content.encode()).hexdigest()[:32]


async def calls(rows: "AsyncIterator[Row]", skip: int) -> "AsyncIterator[list[SourceBatch]]":
    """Group rows into calls of up to CALL_BATCHES batches, without the first `skip` rows."""
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
