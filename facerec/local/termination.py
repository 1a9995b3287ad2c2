"""Turns the first termination signal into an exception in the main thread."""

import signal
from types import FrameType, TracebackType
from typing import Self


class Terminated(BaseException):  # not an Exception, which handlers on the way would catch
    """SIGINT, SIGTERM or SIGHUP arrived."""


class Termination:
    """While open, the first of the signals raises Terminated in the main thread; later ones are ignored."""

    def __init__(self) -> None:
        self._armed = True

    def __enter__(self) -> Self:
        signals = [signal.SIGINT, signal.SIGTERM]
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # as nohup sets it
            signals.append(signal.SIGHUP)
        self._former = {number: signal.signal(number, self._handle) for number in signals}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)

    def disarm(self) -> None:
        """Ignore the signals from now on: the shutdown has begun and must not be interrupted."""
        self._armed = False

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._armed:
            self._armed = False
            raise Terminated
