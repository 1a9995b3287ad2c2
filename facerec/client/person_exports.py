"""All that is kept of one person."""

import dataclasses
from collections.abc import Sequence
from typing import Self

from facerec.client.audit import AuditEvent
from facerec.client.faces import Encoding
from facerec.client.people import Person, StoredFace
from facerec.matcher import v1


@dataclasses.dataclass(frozen=True, eq=False)
class ExportedFace:
    """A stored face, and its vector; None where the key has not the role admin."""

    face: StoredFace
    encoding: Encoding | None

    @classmethod
    def from_message(cls, message: v1.ExportedFace) -> Self:
        """Read the contract's message."""
        encoding = Encoding.from_message(message.encoding) if message.HasField("encoding") else None
        return cls(StoredFace.from_message(message.face), encoding)


@dataclasses.dataclass(frozen=True, eq=False)
class PersonExport:
    """A person, their faces, oldest first, and what changed them or read their data, newest first."""

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
