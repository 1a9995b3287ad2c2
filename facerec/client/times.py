"""Converts times between the contract's messages, and `datetime` and seconds."""

import datetime
import math

from google.protobuf.timestamp_pb2 import Timestamp

from facerec.errors import FacerecError, Reason
from facerec.matcher import v1


def utc(timestamp: Timestamp) -> datetime.datetime:
    """Convert an answer's time to UTC."""
    return timestamp.ToDatetime(tzinfo=datetime.UTC)


def timestamp(time: datetime.datetime | None, field: str) -> Timestamp | None:
    """Convert a request's time. Raises FacerecError OPTION_INVALID unless it is a datetime with a zone."""
    if time is None:
        return None
    if not isinstance(time, datetime.datetime):
        kind = type(time).__name__
        raise FacerecError(
            f"{field} is of type {kind}: give a datetime", reason=Reason.OPTION_INVALID, field=field
        )
    if time.tzinfo is None:
        raise FacerecError(
            f"{field} has no time zone: give one, such as datetime.UTC",
            reason=Reason.OPTION_INVALID,
            field=field,
        )
    message = Timestamp()
    message.FromDatetime(time)
    return message


def read_consistency(max_staleness_seconds: float | None) -> v1.ReadConsistency | None:
    """The consistency of a read that may be so old. Raises FacerecError OPTION_INVALID for no number."""
    if max_staleness_seconds is None:
        return None
    try:
        if not math.isfinite(max_staleness_seconds):
            raise ValueError
        consistency = v1.ReadConsistency()
        consistency.max_staleness.FromNanoseconds(round(1e9 * max_staleness_seconds))
    except (TypeError, ValueError, OverflowError):
        raise FacerecError(
            f"max_staleness_seconds is {max_staleness_seconds!r}: give a number of seconds",
            reason=Reason.OPTION_INVALID,
            field="consistency.max_staleness",
        ) from None
    return consistency
