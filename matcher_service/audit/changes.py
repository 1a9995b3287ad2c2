"""Changes: the event of each is appended in the transaction that makes it, so that there is none without the
other.
"""

import dataclasses
import enum
import json
from collections.abc import Mapping

from facerec.serving.middleware import call
from matcher_service.postgres.database import Session


class Action(enum.StrEnum):
    """What an audit event says was done; the contract's AuditAction without its prefix."""

    ENROLL = "ENROLL"
    IMPORT = "IMPORT"
    UPDATE_PERSON = "UPDATE_PERSON"
    MERGE_PERSONS = "MERGE_PERSONS"
    UPDATE_FACE = "UPDATE_FACE"
    DELETE_PERSON = "DELETE_PERSON"
    DELETE_FACE = "DELETE_FACE"
    EXPIRE = "EXPIRE"  # by `maintain`, or by a change that comes upon such faces first
    EXPORT = "EXPORT"
    EXPORT_PERSON = "EXPORT_PERSON"
    CREATE_COLLECTION = "CREATE_COLLECTION"
    UPDATE_COLLECTION = "UPDATE_COLLECTION"
    DELETE_COLLECTION = "DELETE_COLLECTION"
    APPLY_CALIBRATION = "APPLY_CALIBRATION"
    VERIFY = "VERIFY"
    IDENTIFY = "IDENTIFY"
    COMPARE = "COMPARE"


@dataclasses.dataclass(frozen=True)
class Change:
    """A change and what it is about: a person by their tag (16 bytes), or nobody; counts; texts without a
    person, a vector or a distance in them.
    """

    action: Action
    person_tag: bytes | None = None
    persons: int = 0
    faces: int = 0
    details: Mapping[str, str] = dataclasses.field(default_factory=dict)


async def append_event(session: Session, change: Change) -> None:
    """Append a change's audit event under whoever called."""
    await session.execute(
        "append_audit_event",
        action=change.action.value,
        caller=call.caller_name(),
        person_tag=change.person_tag,
        persons=change.persons,
        faces=change.faces,
        detail=json.dumps(dict(change.details)),
    )
