"""Converts times between the contract's messages and `datetime`."""

import datetime

from google.protobuf.timestamp_pb2 import Timestamp

from facerec.errors import FacerecError, Reason


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
