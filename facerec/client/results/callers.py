"""What a caller may do at a service."""

import dataclasses
import datetime
from collections.abc import Mapping
from typing import Any, Self

from facerec import v1
from facerec.client.times import utc


@dataclasses.dataclass(frozen=True)
class Caller:
    """What the key or client certificate of a client may do at the service that answers.

    Attributes:
        keys_required: Whether the service refuses calls without a key or a known certificate. Where it does
            not, everybody may do everything.
        name: The key's or certificate's name in logs and the audit; "" where no key is required.
        roles: All roles that it has, of `encode`, `verify`, `identify`, `enroll`, `manage` and `admin`;
            `admin` includes all others.
        collection_ids: The only collections that it may reach, sorted; empty for all.
        labels: The people whom it may find: those with one of the values of each label; empty for all.
        scores: Whether distances are answered, and may be limited and measured.
        encodings: Whether encodings may be sent, not only images.
        expire_time: When the key or certificate ends, in UTC; None for never.
        probes_per_second: Its rate at each replica; None for no limit.
        failed_tries_per_day: How many tries of `verify` may fail against one person; None for no limit.
    """

    keys_required: bool
    name: str
    roles: tuple[str, ...]
    collection_ids: tuple[str, ...]
    labels: Mapping[str, tuple[str, ...]]
    scores: bool
    encodings: bool
    expire_time: datetime.datetime | None
    probes_per_second: float | None
    failed_tries_per_day: float | None

    @classmethod
    def from_message(cls, response: Any) -> Self:
        """Read the contract's message, the GetCallerResponse of either service."""
        message: v1.Caller = response.caller
        return cls(
            keys_required=message.keys_required,
            name=message.name,
            roles=tuple(v1.Role.Name(role).removeprefix("ROLE_").lower() for role in message.roles),
            collection_ids=tuple(message.collection_ids),
            labels={key: tuple(limit.values) for key, limit in message.labels.items()},
            scores=message.scores,
            encodings=message.encodings,
            expire_time=utc(message.expire_time) if message.HasField("expire_time") else None,
            probes_per_second=_optional(message, "probes_per_second"),
            failed_tries_per_day=_optional(message, "failed_tries_per_day"),
        )


def _optional(message: v1.Caller, field: str) -> float | None:
    return getattr(message, field) if message.HasField(field) else None  # type: ignore[arg-type]
