"""Sends an import in calls: resumes one that was interrupted, and repeats one that was finished."""

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
INTERRUPTED_SECONDS = 2.0
"""After Ctrl-C, how long to wait for the service's answer on how far the import came."""
MAX_DELAY_SECONDS = 10.0


class Sender:
    """Sends an import call by call, and retries while a service is unavailable.

    `first_row` is the row that this run began at: 0, or the one after those that an interrupted run imported.
    """

    def __init__(self, client: "AsyncMatcherClient", job: Job, refusals: Refusals) -> None:
        from facerec.client import ImportReport

        self._client = client
        self._job = job
        self._refusals = refusals
        self._totals = ImportReport(0, 0, 0, 0, 0)
        self._at_begin = self._totals
        self._finished_imports = 0
        self._has_begun = False
        self.next_row = 0

    @property
    def import_id(self) -> str:
        """The id of this import."""
        return self._job.import_id(self._finished_imports)

    @property
    def first_row(self) -> int:
        """The row that this run began at."""
        return self._at_begin.next_row

    async def run(self, progress: Callable[[], None]) -> None:
        """Send the rows that are not imported yet, or all rows again if an earlier import was finished.

        An import was finished if the source has no row at or after its `next_row`. Raises FacerecError, and
        what reading the source raises.
        """
        await self._begin()
        rows = self._job.reader.rows
        while not await self._send_all(rows, progress) and self.first_row:
            await self._begin_next()
            self._refusals.restart()
            rows = self._job.reader.reopen()

    async def _send_all(self, rows: "AsyncIterator[Row]", progress: Callable[[], None]) -> bool:
        """Send the rows that are not imported yet; returns whether there were any."""
        sent = False
        async for batches in calls(rows, self.next_row):
            if not sent and self.first_row:
                self._refusals.say(f"resuming at row {self.first_row + 1:,}, where an earlier run ended")
            sent = True
            await self.send(batches)
            progress()
        return sent

    async def _begin(self) -> None:
        """Ask the service for the row to begin at. Raises FacerecError."""
        if not self._job.dry_run:
            self._at_begin = await self._get_import()
            self.next_row = self._at_begin.next_row
            self._has_begun = True

    async def _begin_next(self) -> None:
        """Skip the finished imports of the source, and begin the next one. Raises FacerecError."""
        finished = self.first_row
        while self.first_row >= finished:
            self._finished_imports += 1
            await self._begin()

    async def interrupted(self) -> None:
        """Print how many faces are imported, and how to resume."""
        if not self._has_begun:
            return
        client = self._client.with_options(timeout_seconds=INTERRUPTED_SECONDS)
        try:
            report = await client.get_import(self.import_id, collection_id=self._job.collection)
        except FacerecError:
            self._refusals.say("what was stored stays; run it again to resume")
            return
        faces = report.faces_added + report.faces_already_there
        if report.next_row:
            are = "face is" if faces == 1 else "faces are"
            self._refusals.say(
                f"{faces:,} {are} imported; run it again to resume at row {report.next_row + 1:,}"
            )

    async def send(self, batches: "list[SourceBatch]") -> None:
        """Send some batches; all of them are stored when this returns. Raises FacerecError."""
        first = self.next_row
        end = first + sum(len(batch.faces) for batch in batches)
        locations = [location for batch in batches for location in batch.locations]
        for attempt in range(1, TRIES + 1):
            try:
                report = await self._call(batches, self.next_row - first)
            except FacerecError as error:
                if not self._is_transient(error) or attempt == TRIES:
                    raise
                await asyncio.sleep(_delay(error, attempt))
                self.next_row = (await self._get_import()).next_row
                if self.next_row >= end:
                    return
                continue
            for row in report.refused:
                self._refusals.add(locations[row.row - first], row.field, row.message)
            self._add(report)
            self.next_row = end
            return

    async def report(self) -> "ImportReport":
        """What this run did. Raises FacerecError."""
        if self._job.dry_run:
            return self._totals
        done, before = await self._get_import(), self._at_begin
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
            space=job.space or batches[0].space,
            import_id=self.import_id,
            first_row=self.next_row,
            dry_run=job.dry_run,
            ignore_duplicate_policy=job.ignore_duplicate_policy,
            collection_id=job.collection,
        )

    async def _get_import(self) -> "ImportReport":
        """How far the import came; retried while the service is unavailable."""
        for attempt in range(1, TRIES + 1):
            try:
                return await self._client.get_import(self.import_id, collection_id=self._job.collection)
            except FacerecError as error:
                if not self._is_transient(error) or attempt == TRIES:
                    raise
                await asyncio.sleep(_delay(error, attempt))
        raise AssertionError

    def _is_transient(self, error: FacerecError) -> bool:
        """Whether a retry may succeed; if the very first call reaches no service, it may not."""
        unavailable = error.reason in (Reason.UNREACHABLE, Reason.STORE_UNAVAILABLE) and self.next_row > 0
        return (unavailable or error.reason is Reason.OVERLOADED) and not self._job.dry_run

    def _add(self, report: "ImportReport") -> None:
        so_far = self._totals
        self._totals = dataclasses.replace(
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
    """The faces of batches, without the first `skip`."""
    from facerec.client.results.transfer import without_first

    for batch in batches:
        faces = batch.faces
        if skip >= len(faces):
            skip -= len(faces)
        elif skip:
            yield without_first(faces, skip)
            skip = 0
        else:
            yield faces
