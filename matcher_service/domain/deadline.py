"""How long the caller of the present call still waits, without passing it through every floor."""

import contextvars
import time

_ends: contextvars.ContextVar[float | None] = contextvars.ContextVar("deadline", default=None)


def start(remaining_seconds: float | None) -> None:
    """Note at a call's beginning how long its caller waits; None where they set no deadline."""
    _ends.set(None if remaining_seconds is None else time.monotonic() + remaining_seconds)


def remaining_seconds(cap_seconds: float) -> float:
    """Seconds left to the present call, at most the cap; 0 when the caller is gone."""
    ends = _ends.get()
    return cap_seconds if ends is None else max(0.0, min(cap_seconds, ends - time.monotonic()))
