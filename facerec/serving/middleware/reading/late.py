"""A message that is being read and may turn out to be late."""

import asyncio
import time

from facerec.errors import FacerecError, Reason
from facerec.serving.middleware.reading.budget import Lease, overloaded
from facerec.serving.middleware.reading.lanes import Lane

LOOK_SECONDS = 0.01
ROOM_SECONDS = 1.0  # that a late message keeps its permit for want of room, if no call waits for one
LATE_LOOKS = 2  # of which nothing came: one might be the event loop's own delay


class LateMessage:
    """Watches a message that the present task reads, with a permit of the lane until it is late.

    Where there is no room for it then, it keeps its permit a while, unless another call waits for one, be it
    of the same caller: after a stall of the machine, or of its sender, many are late at once and there a
    moment later.

    Where it is refused the task is cancelled, and `raise_refusal` says why.
    """

    __slots__ = ("_began", "_entered", "_lane", "_lease", "_looks", "_refusal", "_task", "_timer")

    def __init__(self, lane: Lane, lease: Lease) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._lane = lane
        self._lease = lease
        self._began = time.monotonic()
        self._entered = False
        self._looks = 0
        self._refusal: FacerecError | None = None
        self._timer = task.get_loop().call_later(LOOK_SECONDS, self._look)

    def raise_refusal(self) -> None:
        """Raises FacerecError where the message was refused; else does nothing."""
        if self._refusal is not None:
            self._task.uncancel()
            raise self._refusal from None

    def end(self) -> None:
        """It is there, or never will be."""
        self._timer.cancel()
        if self._entered:
            self._lane.exit(self._lease, self)
        else:
            self._lane.permits.release(self._lease.owner)

    def _look(self) -> None:
        self._looks += 1
        try:
            if self._looks >= LATE_LOOKS:
                self._check()
                if not self._entered:
                    self._enter()
        except FacerecError as error:
            self._refuse(error)
            return
        self._timer = self._task.get_loop().call_later(LOOK_SECONDS, self._look)

    def _enter(self) -> None:
        lane, owner = self._lane, self._lease.owner
        try:
            lane.enter(self._lease, self, self._leave)
        except FacerecError:
            if time.monotonic() - self._began > ROOM_SECONDS or lane.permits.wanted():
                raise
            return
        self._entered = True
        lane.permits.release(owner)

    def _check(self) -> None:
        if time.monotonic() - self._began > self._lane.max_seconds:
            raise FacerecError(
                f"the message took longer than {self._lane.max_seconds:g} s to arrive",
                reason=Reason.DEADLINE_EXCEEDED,
            )
        self._lane.look()

    def _leave(self) -> None:
        self._timer.cancel()
        self._refuse(overloaded())

    def _refuse(self, error: FacerecError) -> None:
        self._refusal = error
        self._task.cancel()
