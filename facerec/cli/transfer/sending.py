"""Sending an import: in calls, resumed where one was cut short."""

import asyncio
import dataclasses
import hashlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from facerec.cli.terminal import output
from facerec.errors import FacerecError, Reason

if TYPE_CHECKING:
    from facerec.client import AsyncMatcherClient, FaceBatch, ImportReport
    from facerec.sources.rows import Row, SourceBatch

CALL_BATCHES = 10
TRIES = 10
LONGEST_DELAY_SECONDS = 10.0
MAX_TOLD_ROWS = 1000
"""Of so many refused rows one fault is the cause, and the file may hold millions."""


class Told:
    """The refused rows of a source: of the first 1,000 a line each on stderr as it comes, or `rows`."""

    def __init__(self, json: bool, source: object) -> None:
        self._console = None if json else output.console(stderr=True)
        self._told = 0
        self.source = source
        self.rows: list[dict[str, str]] = []
        self.left_out = 0

    def refuse(self, place: str, field: str, message: str) -> None:
        """A row that is not even sent."""
        self.left_out += 1
        self.tell(place, field, message)

    def tell(self, place: str, field: str, message: str) -> None:
        """A row refused here or by the service."""
        self._told += 1
        if self._told > MAX_TOLD_ROWS:
            return
        if self._console is None:
            self.rows.append({"place": place, "field": field, "message": message})
            return
        what = f"{field}: {message}" if field else message
        self._console.print(f"refused {self.source}, {place}: {what}")
        if self._told == MAX_TOLD_ROWS:
            self._console.print("further rows that are refused are only counted")


@dataclasses.dataclass
class Share:
    """How much of a source was read, from 0 to 1; None where its size is not known, as of a query."""

    value: float | None = None

    def tell(self, value: float) -> None:
        """Note how much was read."""
        self.value = value


@dataclasses.dataclass(frozen=True)
class Reader:
    """Rows of a source in one order, how many of them were read, and what names its content."""

    digest: str
    rows: "AsyncIterator[Row]"
    share: Share = dataclasses.field(default_factory=Share)


@dataclasses.dataclass(frozen=True)
class Job:
    """What is imported, and where."""

    reader: Reader
    space: str
    dry_run: bool
    collection: str
    ignore_duplicate_policy: bool = False

    @property
    def import_id(self) -> str:
        """The same for the same content, space and collection."""
        named = f"{self.reader.digest}\0{self.space}\0{self.collection}"
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


class Sender:
    """Sends an import call by call, and goes on by itself where a service was away for a while."""

    def __init__(self, client: "AsyncMatcherClient", job: Job, told: Told) -> None:
        from facerec.client import ImportReport

        self._client = client
        self._job = job
        self._told = told
        self._dry = ImportReport(0, 0, 0, 0, 0)
        self.next_row = 0

    async def begin(self) -> int:
        """The row to begin at. Raises FacerecError."""
        if not self._job.dry_run:
            self.next_row = (await self._stand()).next_row
        return self.next_row

    async def send(self, batches: "list[SourceBatch]") -> None:
        """Send some batches, all of them stored when this returns. Raises FacerecError."""
        first = self.next_row
        end = first + sum(len(batch.faces) for batch in batches)
        places = [place for batch in batches for place in batch.places]
        for attempt in range(1, TRIES + 1):
            try:
                report = await self._call(batches, self.next_row - first)
            except FacerecError as error:
                if not self._passes(error) or attempt == TRIES:
                    raise
                await asyncio.sleep(_delay(error, attempt))
                self.next_row = (await self._stand()).next_row
                if self.next_row >= end:
                    return
                continue
            for row in report.refused:
                self._told.tell(places[row.row - first], row.field, row.message)
            self._add(report)
            self.next_row = end
            return

    async def report(self) -> "ImportReport":
        """What the import did in all, what earlier runs of it did included. Raises FacerecError."""
        return self._dry if self._job.dry_run else await self._stand()

    async def _call(self, batches: "list[SourceBatch]", skip: int) -> "ImportReport":
        job = self._job
        return await self._client.import_faces(
            _faces(batches, skip),
            space=job.space,
            import_id=job.import_id,
            first_row=self.next_row,
            dry_run=job.dry_run,
            ignore_duplicate_policy=job.ignore_duplicate_policy,
            collection_id=job.collection,
        )

    async def _stand(self) -> "ImportReport":
        """How far the import came, asked again while the service is away."""
        for attempt in range(1, TRIES + 1):
            try:
                return await self._client.get_import(self._job.import_id, collection_id=self._job.collection)
            except FacerecError as error:
                if not self._passes(error) or attempt == TRIES:
                    raise
                await asyncio.sleep(_delay(error, attempt))
        raise AssertionError

    def _passes(self, error: FacerecError) -> bool:
        """Whether another try may find it gone; a first call that meets nobody is told so at once."""
        away = error.reason in (Reason.UNREACHABLE, Reason.STORE_UNAVAILABLE) and self.next_row > 0
        return (away or error.reason is Reason.OVERLOADED) and not self._job.dry_run

    def _add(self, report: "ImportReport") -> None:
        so_far = self._dry
        self._dry = dataclasses.replace(
            report,
            faces_added=so_far.faces_added + report.faces_added,
            faces_already_there=so_far.faces_already_there + report.faces_already_there,
            rows_refused=so_far.rows_refused + report.rows_refused,
            persons_added=so_far.persons_added + report.persons_added,
            refused=(),
        )


def _delay(error: FacerecError, attempt: int) -> float:
    return min(LONGEST_DELAY_SECONDS, max(error.retry_after_seconds or 0.0, 2.0**attempt / 4))


async def _faces(batches: "list[SourceBatch]", skip: int) -> "AsyncIterator[FaceBatch]":
    """The faces of batches, but for the first `skip`."""
    from facerec.client.transfer import tail

    for batch in batches:
        faces = batch.faces
        if skip >= len(faces):
            skip -= len(faces)
        elif skip:
            yield tail(faces, skip)
            skip = 0
        else:
            yield faces
