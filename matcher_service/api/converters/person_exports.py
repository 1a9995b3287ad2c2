"""Build the messages of a person's export."""

from facerec.encoder.v1 import encoder_pb2
from facerec.matcher.v1 import matcher_pb2 as pb
from matcher_service.api.converters.answers import face_message, person_message
from matcher_service.api.converters.audit import event_message
from matcher_service.domain.faces import Encoding
from matcher_service.persons.export import PersonPart


def part_message(part: PersonPart) -> pb.ExportPersonResponse:
    """Build a part of an export."""
    return pb.ExportPersonResponse(
        person=None if part.person is None else person_message(part.person),
        faces=[
            pb.ExportedFace(face=face_message(each.face), encoding=_encoding_message(each.encoding))
            for each in part.faces
        ],
        events=[event_message(event) for event in part.events],
    )


def _encoding_message(encoding: Encoding | None) -> encoder_pb2.Encoding | None:
    if encoding is None:
        return None
    return encoder_pb2.Encoding(
        values=encoding.values.tolist(), space=encoding.space, fingerprint=encoding.fingerprint
    )
