"""A message that is being read and may turn out to be late: not there after 20 ms.

The byte budget alone does not bound what slow senders hold. How long a message is nobody knows until it is
there, whatever its method takes, and by then gRPC may hold as much of it as of the longest. Were that
reserved before each message is read, as it is before each of a stream, a dozen slow messages would take a
caller's whole share, by default: its prompt calls, of a few hundred bytes each, would wait behind them and be
refused, and where no keys are asked for so would those of everybody at the sender's address. Four such
callers would leave nobody else the room to send anything.

So a message holds nothing of the budget while it may be prompt, and few are read at once that may be. One
that is late holds its reservation from then on, and is refused where there is none left.
"""

import asyncio
import time

from facerec.errors import FacerecError, Reason
from facerec.serving.middleware.reading.admission import Admission
from facerec.serving.middleware.reading.budget import Lease, overloaded

CHECK_SECONDS = 0.01
ROOM_SECONDS = 1.0  # for which a late message without room keeps its permit, if no call waits for one
LATE_CHECKS = 2  # after which a message is late: one might be the event loop's own delay


class LateMessage:
    """Watches a message that the present task reads; it holds a permit of `admission` until it is late.

    Where there is no room for it then, it keeps its permit for ROOM_SECONDS, unless another call waits for
    one, be it of the same caller: after a stall of the machine, or of its sender, many are late at once and
    arrive soon after.

    Where it is refused the task is cancelled, and `raise_refusal` says why.
    """

    __slots__ = ("_admission", "_began", "_checks", "_entered", "_lease", "_refusal", "_task", "_timer")

    def __init__(self, admission: Admission, lease: Lease) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._admission = admission
        self._lease = lease
        self._began = time.monotonic()
        self._entered = False
        self._checks = 0
        self._refusal: FacerecError | None = None
        self._timer = task.get_loop().call_later(CHECK_SECONDS, self._check)

    def raise_refusal(self) -> None:
        """Raises FacerecError where the message was refused; else does nothing."""
        if self._refusal is not None:
            self._task.uncancel()
            raise self._refusal from None

    def end(self) -> None:
        """Note that it has arrived, or never will."""
        self._timer.cancel()
        if self._entered:
            self._admission.exit(self._lease, self)
        else:
            self._admission.permits.release(self._lease.owner)

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
        admission, owner = self._admission, self._lease.owner
        try:
            admission.enter(self._lease, self, self._evict)
        except FacerecError:
            if time.monotonic() - self._began > ROOM_SECONDS or admission.permits.has_waiting():
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
