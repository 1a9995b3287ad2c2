"""Times the reading of each message: one that is not complete after 20 ms is late.

The byte budget alone does not bound the memory that slow senders hold. The length of a message is unknown
until it is complete, and by then gRPC may hold as much as the largest message. If that much were reserved
before each message is read, as it is before each of a stream, a dozen slow messages would by default use up
their caller's share: its other calls, of a few hundred bytes each, would wait behind them and be refused,
and if no keys are required so would all calls from the sender's address. Four such callers would leave no
bytes for any other.

So a message reserves nothing until it is late, and few that are not late are read concurrently. A late
message makes its reservation when it becomes late, and is refused if the budget has no bytes left.
"""

import asyncio
import time

from facerec.errors import FacerecError, Reason
from facerec.serving.fairness.byte_budget import Reservation, overloaded
from facerec.serving.middleware.reading.admission import Admission

CHECK_SECONDS = 0.01
# A late message that is not admitted keeps its permit for this long if no call waits for one.
GRACE_SECONDS = 1.0
LATE_CHECKS = 2  # checks until a message is late: a single one may be due to a delay of the event loop


class MessageReadTimer:
    """Times a message that the current task reads and that holds a permit of `admission` until it is late.

    A message that is not admitted as late keeps its permit for GRACE_SECONDS, unless another call waits for a
    permit: after the machine or the sender stalled, many messages are late together and arrive soon after.

    A message that is refused cancels the task; `raise_refusal` then raises the reason.
    """

    __slots__ = ("_admission", "_began", "_checks", "_entered", "_refusal", "_reservation", "_task", "_timer")

    def __init__(self, admission: Admission, reservation: Reservation) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._admission = admission
        self._reservation = reservation
        self._began = time.monotonic()
        self._entered = False
        self._checks = 0
        self._refusal: FacerecError | None = None
        self._timer = task.get_loop().call_later(CHECK_SECONDS, self._check)

    def raise_refusal(self) -> None:
        """Raise the FacerecError by which the message was refused, if it was."""
        if self._refusal is not None:
            self._task.uncancel()
            raise self._refusal from None

    def end(self) -> None:
        """Stop watching: the message is complete, or its call has ended."""
        self._timer.cancel()
        if self._entered:
            self._admission.exit(self._reservation, self)
        else:
            self._admission.permits.release(self._reservation.owner)

    def _check(self) -> None:
        self._checks += 1
        try:
            if self._checks >= LATE_CHECKS:
                self._check_limits()
                if not self._entered:
                    self._enter()
        except FacerecError as error:
            self._refuse(error)
            return
        self._timer = self._task.get_loop().call_later(CHECK_SECONDS, self._check)

    def _enter(self) -> None:
        admission, owner = self._admission, self._reservation.owner
        try:
            admission.enter(self._reservation, self, self._evict)
        except FacerecError:
            if time.monotonic() - self._began > GRACE_SECONDS or admission.permits.has_waiting():
                raise
            return
        self._entered = True
        admission.permits.release(owner)

    def _check_limits(self) -> None:
        if time.monotonic() - self._began > self._admission.max_seconds:
            raise FacerecError(
                f"the message took longer than {self._admission.max_seconds:g} s to arrive",
                reason=Reason.DEADLINE_EXCEEDED,
            )
        self._admission.check()

    def _evict(self) -> None:
        self._timer.cancel()
        self._refuse(overloaded("too many messages arrive slowly"))

    def _refuse(self, error: FacerecError) -> None:
        self._refusal = error
        self._task.cancel()
