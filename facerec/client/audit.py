"""What was done in a collection, as the matcher tells it."""

import dataclasses
import datetime
from collections.abc import Mapping
from typing import Self

from facerec.client.times import utc
from facerec.errors import FacerecError, Reason
from facerec.matcher import v1

KINDS = {
    "": v1.AUDIT_KIND_UNSPECIFIED,
    "changes": v1.AUDIT_KIND_CHANGES,
    "decisions": v1.AUDIT_KIND_DECISIONS,
}


def audit_kind(name: str) -> v1.AuditKind.ValueType:
    """The kind of a name. Raises FacerecError OPTION_INVALID."""
    if name not in KINDS:
        raise FacerecError("kind is changes or decisions", reason=Reason.OPTION_INVALID, field="kind")
    return KINDS[name]


@dataclasses.dataclass(frozen=True)
class AuditEvent:
    """One thing that was done. `action` is as ENROLL or VERIFY; `match` is None of what decides nothing.

    `person_tag` stands for a person and can be led back to nobody once they are erased.
    """

    event_id: int
    event_time: datetime.datetime
    action: str
    caller: str
    person_tag: str
    persons: int
    faces: int
    match: bool | None
    details: Mapping[str, str]

    @classmethod
    def from_message(cls, message: v1.AuditEvent) -> Self:
        """Read the contract's message."""
        decided = message.outcome != v1.AUDIT_OUTCOME_UNSPECIFIED
        return cls(
            event_id=message.event_id,
            event_time=utc(message.event_time),
            action=v1.AuditAction.Name(message.action).removeprefix("AUDIT_ACTION_"),
            caller=message.caller,
            person_tag=message.person_tag,
            persons=message.persons,
            faces=message.faces,
            match=message.outcome == v1.AUDIT_OUTCOME_MATCH if decided else None,
            details=dict(message.details),
        )
