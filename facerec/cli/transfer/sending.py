"""Sending an import: in calls, resumed where one was cut short, and anew where it was finished."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING

from facerec.cli.transfer.jobs import Job, calls
from facerec.cli.transfer.refusals import Refusals
from facerec.errors import FacerecError, Reason

if TYPE_CHECKING:
    from facerec.client import AsyncMatcherClient, FaceBatch, ImportReport
    from facerec.sources.rows import Row, SourceBatch

TRIES = 10
LAST_WORD_SECONDS = 2.0
"""How long somebody who interrupts an import waits for how far it came."""
MAX_DELAY_SECONDS = 10.0


class Sender:
    """Sends an import call by call, and goes on by itself where a service was away for a while.

    `first_row` is where this run began: behind the rows that an interrupted one brought in.
    """

    def __init__(self, client: "AsyncMatcherClient", job: Job, refusals: Refusals) -> None:
        from facerec.client import ImportReport

        self._client = client
        self._job = job
        self._refusals = refusals
        self._dry = ImportReport(0, 0, 0, 0, 0)
        self._begun = self._dry
        self._earlier = 0
        self._has_begun = False
        self.next_row = 0

    @property
    def import_id(self) -> str:
        """The id of this import."""
        return self._job.import_id(self._earlier)

    @property
    def first_row(self) -> int:
        """The row that this run began at."""
        return self._begun.next_row

    async def run(self, progress: Callable[[], None]) -> None:
        """Send what is not in yet, or all of it where an earlier import of it had been finished.

        An import was finished where nothing of the source is behind the row that it goes on at. Raises
        FacerecError, and what reading the source raises.
        """
        await self._begin()
        rows = self._job.reader.rows
        while not await self._send_all(rows, progress) and self.first_row:
            await self._begin_anew()
            self._refusals.read_again()
            rows = self._job.reader.again()

    async def _send_all(self, rows: "AsyncIterator[Row]", progress: Callable[[], None]) -> bool:
        """Send the rows that are not in yet; whether there were any."""
        some = False
        async for batches in calls(rows, self.next_row):
            if not some and self.first_row:
                self._refusals.say(f"goes on at row {self.first_row + 1:,}, where an earlier run of it ended")
            some = True
            await self.send(batches)
            progress()
        return some

    async def _begin(self) -> None:
        """Learn the row to begin at. Raises FacerecError."""
        if not self._job.dry_run:
            self._begun = await self._stand()
            self.next_row = self._begun.next_row
            self._has_begun = True

    async def _begin_anew(self) -> None:
        """Pass over imports of the source that were finished. Raises FacerecError."""
        finished = self.first_row
        while self.first_row >= finished:
            self._earlier += 1
            await self._begin()

    async def interrupted(self) -> None:
        """Say how much is in, and how to go on."""
        if not self._has_begun:
            return
        client = self._client.with_options(timeout_seconds=LAST_WORD_SECONDS)
        try:
            stand = await client.get_import(self.import_id, collection_id=self._job.collection)
        except FacerecError:
            self._refusals.say("what was stored stays; run it again to go on there")
            return
        faces = stand.faces_added + stand.faces_already_there
        if stand.next_row:
            are = "face is" if faces == 1 else "faces are"
            self._refusals.say(f"{faces:,} {are} in; run it again to go on at row {stand.next_row + 1:,}")

    async def send(self, batches: "list[SourceBatch]") -> None:
        """Send some batches, all of them stored when this returns. Raises FacerecError."""
        first = self.next_row
        end = first + sum(len(batch.faces) for batch in batches)
        places = [place for batch in batches for place in batch.locations]
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
                self._refusals.add(places[row.row - first], row.field, row.message)
            self._add(report)
            self.next_row = end
            return

    async def report(self) -> "ImportReport":
        """What this run did. Raises FacerecError."""
        if self._job.dry_run:
            return self._dry
        done, before = await self._stand(), self._begun
        return dataclasses.replace(
            done,
            faces_added=done.faces_added - before.faces_added,
            faces_already_there=done.faces_already_there - before.faces_already_there,
            rows_refused=done.rows_refused - before.rows_refused,
            persons_added=done.persons_added - before.persons_added,
        )

    async def _call(self, batches: "list[SourceBatch]", skip: int) -> "ImportReport":
        job = self._job
        return await self._client.import_faces(
            _faces(batches, skip),
            space=job.space,
            import_id=self.import_id,
            first_row=self.next_row,
            dry_run=job.dry_run,
            ignore_duplicate_policy=job.ignore_duplicate_policy,
            collection_id=job.collection,
        )

    async def _stand(self) -> "ImportReport":
        """How far the import came, asked again while the service is away."""
        for attempt in range(1, TRIES + 1):
            try:
                return await self._client.get_import(self.import_id, collection_id=self._job.collection)
            except FacerecError as error:
                if not self._passes(error) or attempt == TRIES:
                    raise
                await asyncio.sleep(_delay(error, attempt))
        raise AssertionError

    def _passes(self, error: FacerecError) -> bool:
        """Whether another try may find it gone; a first call that meets nobody fails at once."""
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
    return min(MAX_DELAY_SECONDS, max(error.retry_after_seconds or 0.0, 2.0**attempt / 4))


async def _faces(batches: "list[SourceBatch]", skip: int) -> "AsyncIterator[FaceBatch]":
    """The faces of batches, but for the first `skip`."""
    from facerec.client.results.transfer import tail

    for batch in batches:
        faces = batch.faces
        if skip >= len(faces):
            skip -= len(faces)
        elif skip:
            yield tail(faces, skip)
            skip = 0
        else:
            yield faces
