"""Times and durations between the contract's messages and `datetime`. Times read are UTC."""

import datetime

from google.protobuf.timestamp_pb2 import Timestamp

from facerec.errors import FacerecError, Reason


def utc(timestamp: Timestamp) -> datetime.datetime:
    """A time of an answer."""
    return timestamp.ToDatetime(tzinfo=datetime.UTC)


def timestamp(time: datetime.datetime | None, field: str) -> Timestamp | None:
    """A time of a request. Raises FacerecError OPTION_INVALID where it is no datetime or has no time zone."""
    if time is None:
        return None
    if not isinstance(time, datetime.datetime):
        kind = type(time).__name__
        raise FacerecError(
            f"{field} is of type {kind}: give a datetime", reason=Reason.OPTION_INVALID, field=field
        )
    if time.tzinfo is None:
        raise FacerecError(
            "say which time zone the time is of: one without could be the caller's or the server's",
            reason=Reason.OPTION_INVALID,
            field=field,
        )
    message = Timestamp()
    message.FromDatetime(time)
    return message
