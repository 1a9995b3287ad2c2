"""Error rates with their intervals."""

import dataclasses
from typing import Self

from google.protobuf.message import Message

from facerec.matcher import v1


@dataclasses.dataclass(frozen=True)
class Rate:
    """An error rate, a share of 0 to 1, with its 95 % interval.

    Attributes:
        value: The estimate.
        low: The lower end of the interval.
        high: The upper end of the interval.
    """

    value: float
    low: float
    high: float

    @classmethod
    def from_message(cls, message: v1.Rate) -> Self:
        """Read the contract's message."""
        return cls(message.value, message.low, message.high)

    @classmethod
    def of(cls, message: Message, field: str) -> Self | None:
        """Read a field of a message; None if it is unset."""
        return cls.from_message(getattr(message, field)) if message.HasField(field) else None
