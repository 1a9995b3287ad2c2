"""Events of a collection's audit log."""

import dataclasses
import datetime
from collections.abc import Mapping
from typing import Self

from facerec.client.times import utc
from facerec.matcher import v1


@dataclasses.dataclass(frozen=True)
class AuditEvent:
    """An event of the audit log. It names no person and holds neither a vector nor a distance.

    Attributes:
        event_id: A number; later events have larger ones, with gaps.
        event_time: When it happened.
        action: What was done, such as ENROLL, VERIFY or UPDATE_COLLECTION: the contract's `AuditAction`
            without its prefix.
        caller: The name of the key or certificate that made the call; "" where the services ask for none.
        person_tag: A keyed hash of the person's id, 32 hexadecimal characters, which cannot be traced to the
            person once the person is erased. "" where it is about no person, or about several.
        persons: How many persons it is about.
        faces: How many faces it is about.
        match: What VERIFY, IDENTIFY or COMPARE decided; None for any other action.
        details: More about a change, such as settings before and after, or an import's id.
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
