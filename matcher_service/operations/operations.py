"""Runs operations apart from the calls that ask for them, so that each runs once and its answer is kept."""

import asyncio
import contextlib
from typing import Final

import structlog

from facerec.errors import FacerecError, Reason
from facerec.serving.middleware import call
from matcher_service.admission import FairSemaphore, three_quarters_of
from matcher_service.domain.errors import MatcherError, RequestIdReused, StoreUnavailable
from matcher_service.domain.status import Queue
from matcher_service.operations.run import RENEWAL_SECONDS, Operation, Run, RunLost, Work
from matcher_service.postgres.database import Database

MAX_RUNS: Final = 8  # at once in a replica; each then waits for a connection as other calls do
MAX_RUN_SECONDS: Final = 3600.0
STOP_SECONDS: Final = 2.0  # to tell the database that the runs have ended
FIRST_POLL_SECONDS, LAST_POLL_SECONDS = 0.1, 2.0  # of the row, while another replica runs the operation

log = structlog.get_logger(__name__)


class Operations:
    """Answers calls that bring a request id: by the stored answer, by a run in progress, or by a new run.

    A run belongs to no call. It goes on when its callers hang up, MAX_RUN_SECONDS at most, and ends with its
    replica: the next call that asks begins another, after the lease if the replica died. A run that fails
    leaves nothing, and the error is the answer of those who wait.
    """

    def __init__(self, database: Database, *, wait_seconds: float) -> None:
        self._database = database
        self._runs: dict[Operation, asyncio.Task[None]] = {}
        self._permits = FairSemaphore(
            MAX_RUNS, wait_seconds=wait_seconds, kind="operation", share=three_quarters_of(MAX_RUNS)
        )

    async def answer(self, operation: Operation, work: Work) -> bytes:
        """The operation's answer; `work` is run if nobody else runs it.

        Raises RequestIdReused, Overloaded, StoreUnavailable, and what the work raises.
        """
        pause = FIRST_POLL_SECONDS
        while True:
            row = await self._database.row(
                "get_operation",
                operation.collection_id,
                request_id=operation.request_id,
                digest=operation.digest,
            )
            if row is not None and not row["same_content"]:
                raise RequestIdReused(
                    "this request id was used for another request: send a new one", field="request_id"
                )
            if row is not None and row["answer"] is not None:
                answer: bytes = row["answer"]
                return answer
            run = self._runs.get(operation)
            if run is None and (row is None or row["is_abandoned"]):
                run = self._begin(operation, work)
            if run is None or not await _ended(run):
                await asyncio.sleep(pause)
                pause = min(2 * pause, LAST_POLL_SECONDS)

    def queue(self) -> Queue:
        """The limit of operations that run at once."""
        return self._permits.queue()

    async def stop(self) -> None:
        """Cancel the runs that no call waits for any more. Another replica begins again when it is asked."""
        pending = set(self._runs.values())
        for seconds in (STOP_SECONDS, None):  # the second time without waiting for the database
            for run in pending:
                run.cancel()
            if pending:
                _, pending = await asyncio.wait(pending, timeout=seconds)

    def _begin(self, operation: Operation, work: Work) -> asyncio.Task[None]:
        run = asyncio.create_task(self._run(operation, work))
        self._runs[operation] = run

        def ended(_: asyncio.Task[None]) -> None:
            del self._runs[operation]
            _log_failure(operation, run)

        run.add_done_callback(ended)
        return run

    async def _run(self, operation: Operation, work: Work) -> None:
        call.detach(MAX_RUN_SECONDS)
        async with self._permits.permit(long=True):
            run = Run(self._database, operation)
            if not await run.claim():
                raise RunLost
            try:
                async with asyncio.timeout(MAX_RUN_SECONDS) as limit:
                    await _work_under_lease(run, work)
            except BaseException as error:
                with contextlib.suppress(MatcherError):
                    await run.forget()
                if isinstance(error, TimeoutError) and limit.expired():
                    message = f"the work took longer than {MAX_RUN_SECONDS:g} s and was ended"
                    raise FacerecError(message, reason=Reason.DEADLINE_EXCEEDED) from None
                raise


async def _work_under_lease(run: Run, work: Work) -> None:
    """Do the work while the lease can be renewed. Raises RunLost, and what the work raises."""
    working = asyncio.ensure_future(work(run.finish))
    try:
        while not (await asyncio.wait({working}, timeout=RENEWAL_SECONDS))[0]:
            with contextlib.suppress(MatcherError):  # the work goes on; `finish` tells whose it is
                if not await run.renew():
                    raise RunLost
        await working
    finally:
        working.cancel()
        await asyncio.wait({working})


async def _ended(run: asyncio.Task[None]) -> bool:
    """Wait for a run of this replica; False if it lost its operation. Raises what the work raised."""
    await asyncio.wait({run})
    if run.cancelled():
        raise StoreUnavailable("the matcher stops: send the request again", retry_after_seconds=0.1)
    error = run.exception()
    if error is None or isinstance(error, RunLost):
        return error is None
    raise error


def _log_failure(operation: Operation, run: asyncio.Task[None]) -> None:
    """Log why a run failed, as perhaps nobody waits for it; not its message, which may quote the request."""
    error = None if run.cancelled() else run.exception()
    if error is None or isinstance(error, RunLost):
        return
    if isinstance(error, FacerecError):
        log.info("operation_failed", method=operation.method, why=str(error.reason))
    else:
        log.error("operation_failed", method=operation.method, why=type(error).__name__)
