"""Audit events of changes, each appended in the change's own transaction: both are committed, or neither."""

import dataclasses
import enum
import json
from collections.abc import Mapping

from facerec.serving.middleware import call
from matcher_service.postgres.database import Session


class Action(enum.StrEnum):
    """The action of an audit event; the contract's AuditAction without its prefix."""

    ENROLL = "ENROLL"
    IMPORT = "IMPORT"
    UPDATE_PERSON = "UPDATE_PERSON"
    MERGE_PERSONS = "MERGE_PERSONS"
    MOVE_FACES = "MOVE_FACES"
    RENAME_PERSON = "RENAME_PERSON"
    UPDATE_FACE = "UPDATE_FACE"
    DELETE_PERSON = "DELETE_PERSON"
    DELETE_FACE = "DELETE_FACE"
    EXPIRE = "EXPIRE"  # by `maintain`, or by a change that finds expired faces first
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
    """A change: its person's tag (16 bytes) or None, the counts of persons and faces, and details.

    The details' texts contain no person, encoding or distance.
    """

    action: Action
    person_tag: bytes | None = None
    persons: int = 0
    faces: int = 0
    details: Mapping[str, str] = dataclasses.field(default_factory=dict)


async def append_event(session: Session, change: Change) -> None:
    """Append a change's audit event under the current caller's name."""
    await session.execute(
        "append_audit_event",
        action=change.action.value,
        caller=call.caller_name(),
        person_tag=change.person_tag,
        persons=change.persons,
        faces=change.faces,
        detail=json.dumps(dict(change.details)),
    )
