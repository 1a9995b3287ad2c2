"""The answer of `export_person`: all data about one person."""

import dataclasses
from collections.abc import Sequence
from typing import Self

from facerec.client.results.audit import AuditEvent
from facerec.client.results.encodings import Encoding
from facerec.client.results.persons import Person, StoredFace
from facerec.matcher import v1


@dataclasses.dataclass(frozen=True, eq=False)
class ExportedFace:
    """A stored face of an export.

    Attributes:
        face: The face.
        encoding: Its vector; None where the key does not have the role `admin`.
    """

    face: StoredFace
    encoding: Encoding | None

    @classmethod
    def from_message(cls, message: v1.ExportedFace) -> Self:
        """Read the contract's message."""
        encoding = Encoding.from_message(message.encoding) if message.HasField("encoding") else None
        return cls(StoredFace.from_message(message.face), encoding)


@dataclasses.dataclass(frozen=True, eq=False)
class PersonExport:
    """The answer of `export_person`.

    Attributes:
        person: The person.
        faces: The person's faces, oldest first.
        events: The audit events that changed the person or read their data, newest first, including this
            export. Decisions about the person are not in it: `list_audit_events` has them.
    """

    person: Person
    faces: tuple[ExportedFace, ...]
    events: tuple[AuditEvent, ...]

    @classmethod
    def from_messages(cls, messages: Sequence[v1.ExportPersonResponse]) -> Self:
        """Read the contract's messages, of which the first has the person."""
        return cls(
            Person.from_message(messages[0].person),
            tuple(ExportedFace.from_message(face) for message in messages for face in message.faces),
            tuple(AuditEvent.from_message(event) for message in messages for event in message.events),
        )
