"""Exports every face of a collection from one snapshot."""

import asyncio
import contextlib
import dataclasses
import datetime
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence

from facerec.contract import DIMENSIONS
from matcher_service.audit.changes import Action, Change, append_event
from matcher_service.domain.attributes import AttributeChange, Attributes
from matcher_service.domain.errors import Overloaded, ReadInterrupted, SchemaChanged, StoreUnavailable
from matcher_service.postgres.database import Database, Row
from matcher_service.postgres.driver_errors import retried_on_schema_change
from matcher_service.postgres.vectors import read_vectors
from matcher_service.transfer.chunks import Chunk

RETRY_SECONDS = 60.0
STALLED_SECONDS = 60.0
EXPORT_FACES = 2000  # a page: 1.2 MB, or 8 MB with the longest texts
EXPORT_BYTES = 3 * 1024 * 1024  # of a message at most: gRPC clients accept 4 MiB by default
ROW_BYTES = 4 * DIMENSIONS + 50  # a face's encoding, its time, and the framing of all fields
LABEL_BYTES = 10  # the framing of a label
METADATA_FACTOR = 6  # a message's bytes for one of JSON, at most: a number such as "0," has eleven
PAGE_ATTRIBUTE_BYTES = 8 * 1024 * 1024

Write = Callable[[str, Chunk], Awaitable[None]]
"""Writes some faces of an export and their space, and returns when more can be written."""


@dataclasses.dataclass(frozen=True)
class _Position:
    """The last row of a page; time and id are None for a person without a face."""

    after_person_id: str
    after_time: datetime.datetime | None
    after_face_id: uuid.UUID | None


@dataclasses.dataclass
class _Progress:
    """What an export has done so far: its audit event, and anything written."""

    audited: bool = False
    written: bool = False


class Exporter:
    """Exports faces. Each export holds a connection of the transfer pool until it ends."""

    def __init__(self, database: Database, *, export_seconds: float) -> None:
        self._database = database
        self._export_seconds = export_seconds

    async def export(self, collection_id: str, write: Write, *, max_staleness: float | None = None) -> None:
        """Write every face that has not expired, ordered by person and age. `max_staleness` is as in
        `Database.export_session`. Raises CollectionNotFound, StoreUnavailable, Overloaded.

        The snapshot keeps vacuum from removing rows deleted meanwhile, so an export lasts `export_seconds` at
        most, however slowly the caller reads, and ends when the caller reads nothing for STALLED_SECONDS.
        """
        late = "read it faster, or raise export_timeout_seconds"
        message = f"the export took longer than {self._export_seconds:g} s: {late}"
        async with limit(self._export_seconds, message):
            await self._export(collection_id, write, _Progress(), max_staleness)

    @retried_on_schema_change
    async def _export(
        self, collection_id: str, write: Write, progress: "_Progress", max_staleness: float | None
    ) -> None:
        """Export from one snapshot, or until a part of it is written from another one on another server."""
        try:
            await self._export_snapshot(collection_id, write, progress, max_staleness)
        except (ReadInterrupted, SchemaChanged) as error:
            if not progress.written:
                raise
            raise StoreUnavailable(
                "the database server that the export read from failed: start the export again",
                retry_after_seconds=error.retry_after_seconds,
            ) from error

    async def _export_snapshot(
        self, collection_id: str, write: Write, progress: "_Progress", max_staleness: float | None
    ) -> None:
        async with (
            self._database.export_session(collection_id, max_staleness=max_staleness) as session,
            session.transaction("repeatable_read", readonly=True),
        ):
            collection = await session.required_row("begin_export")
            if not progress.audited:
                await self._append_event(collection_id)
                progress.audited = True
            after = _Position("", None, None)
            while rows := await session.rows(
                "export_faces",
                **dataclasses.asdict(after),
                max_rows=EXPORT_FACES,
                max_attribute_bytes=PAGE_ATTRIBUTE_BYTES,
            ):
                after = _Position(rows[-1]["person_id"], rows[-1]["create_time"], rows[-1]["face_id"])
                for faces in _messages([row for row in rows if row["face_id"] is not None]):
                    async with limit(STALLED_SECONDS, f"the export was not read for {STALLED_SECONDS:g} s"):
                        progress.written = True
                        await write(collection["space"], _chunk(faces))

    @retried_on_schema_change
    async def _append_event(self, collection_id: str) -> None:
        """Append the audit event of the export before anything is read."""
        async with self._database.session(collection_id) as session:
            await append_event(session, Change(Action.EXPORT))


@contextlib.asynccontextmanager
async def limit(seconds: float, message: str) -> AsyncIterator[None]:
    """Limit the duration of a block. Raises Overloaded with the message."""
    try:
        async with asyncio.timeout(seconds) as ends:
            yield
    except TimeoutError:
        if not ends.expired():
            raise
        raise Overloaded(message, retry_after_seconds=RETRY_SECONDS) from None


def _messages(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """Split the rows of a page into messages."""
    message: list[Row] = []
    size = 0
    for row in rows:
        texts = (row["person_id"], row["display_name"], row["external_ref"], row["fingerprint"])
        row_bytes = ROW_BYTES + sum(len(text.encode()) for text in texts) + _attribute_bytes(row)
        if message and size + row_bytes > EXPORT_BYTES:
            yield message
            message, size = [], 0
        message.append(row)
        size += row_bytes
    if message:
        yield message


def _attribute_bytes(row: Row) -> int:
    """The bytes of a row's attributes in a message, at most."""
    if row["labels"] is None:
        return 0
    labels: bytes = row["labels"].encode()
    return (
        len(labels)
        + LABEL_BYTES * labels.count(b":")
        + METADATA_FACTOR * len((row["metadata"] or "").encode())
    )


def _attributes(row: Row) -> AttributeChange:
    if row["labels"] is None:  # not the person's first face
        return AttributeChange()
    found = Attributes.of(row["labels"], row["metadata"])
    return AttributeChange(found.labels, metadata=found.metadata, suspended=row["suspended"] or None)


def _chunk(rows: Sequence[Row]) -> Chunk:
    return Chunk(
        read_vectors([row["encoding"] for row in rows]),
        [row["person_id"] for row in rows],
        [row["display_name"] for row in rows],
        [row["external_ref"] for row in rows],
        [None if row["expire_time"].year == datetime.MAXYEAR else row["expire_time"] for row in rows],
        [row["fingerprint"] for row in rows],
        [_attributes(row) for row in rows],
    )
