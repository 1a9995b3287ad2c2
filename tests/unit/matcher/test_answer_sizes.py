"""The longest answers stay within 4 MiB, gRPC's default limit of a message."""

from collections.abc import Sequence
from typing import Any

import pytest
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct

from facerec.matcher.v1 import audit_pb2, matcher_pb2, review_pb2
from facerec.structs import struct_fields
from matcher_service.api import decision_servicer, person_servicer
from matcher_service.api.converters import requests
from matcher_service.domain import ids
from matcher_service.domain.attributes import (
    MAX_LABELS,
    MAX_METADATA_BYTES,
    MAX_VALUE_CHARACTERS,
    metadata_text,
)
from matcher_service.persons.export import PART_ROWS
from matcher_service.persons.listing import PAGE_ATTRIBUTE_BYTES

DEFAULT_BYTES = 4 * 1024 * 1024
WIDEST = "\N{GRINNING FACE}"  # 4 bytes of UTF-8, as many as a character has
CHARACTERS = {
    "person_id": ids.MAX_PERSON_ID_CHARACTERS,
    "person_id_a": ids.MAX_PERSON_ID_CHARACTERS,
    "person_id_b": ids.MAX_PERSON_ID_CHARACTERS,
    "display_name": ids.MAX_TEXT_CHARACTERS,
    "external_ref": ids.MAX_TEXT_CHARACTERS,
    "space": requests.MAX_SPACE_CHARACTERS,
}
SETTINGS = len(matcher_pb2.CollectionSettings.DESCRIPTOR.fields) + len(
    matcher_pb2.SearchPolicy.DESCRIPTOR.fields
)


def longest(kind: type[Message]) -> Message:
    """A message with every field at its longest, texts of other names at 256 bytes."""
    message: Any = kind()
    for field in message.DESCRIPTOR.fields:
        if field.message_type is not None and field.message_type.full_name.startswith(
            "google.protobuf.Struct"
        ):
            continue  # as large as many labels: pages are bounded by both
        if field.name == "labels":
            continue
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            getattr(message, field.name).update({f"{place:032}": 100 * "x" for place in range(SETTINGS)})
        elif field.message_type is not None and not field.is_repeated:
            getattr(message, field.name).CopyFrom(longest(field.message_type._concrete_class))
        elif field.message_type is None:
            value = _longest_value(field)
            if field.is_repeated:
                getattr(message, field.name).extend([value] * 7)
            else:
                setattr(message, field.name, value)
    return message  # type: ignore[no-any-return]


def _longest_value(field: Any) -> Any:
    if field.type == field.TYPE_STRING:
        return CHARACTERS[field.name] * WIDEST if field.name in CHARACTERS else 256 * "x"
    if field.type == field.TYPE_ENUM:
        return field.enum_type.values[-1].number
    if field.type == field.TYPE_BOOL:
        return True
    return 2**31 - 1


LISTS: Sequence[tuple[type[Message], str]] = (
    (matcher_pb2.ListPersonsResponse, "persons"),
    (matcher_pb2.ListFacesResponse, "faces"),
    (matcher_pb2.ListCollectionsResponse, "collections"),
    (review_pb2.ListDuplicatesResponse, "pairs"),
    (review_pb2.ListInconsistentFacesResponse, "faces"),
    (audit_pb2.ListAuditEventsResponse, "events"),
)


def test_every_list_of_the_contract_is_measured() -> None:
    services = matcher_pb2.DESCRIPTOR.services_by_name.values()
    listed = {method.output_type.name for service in services for method in service.methods}
    expected = {name for name in listed if name.startswith("List")}
    assert {kind.DESCRIPTOR.name for kind, _ in LISTS} == expected


def item_of(kind: type[Message], field: str) -> Message:
    item: Any = kind.DESCRIPTOR.fields_by_name[field].message_type
    return longest(item._concrete_class)


def test_a_page_of_people_ends_before_their_attributes_exceed_the_rest() -> None:
    """A page ends after the person who exceeds the bound, of which metadata counts six times."""
    metadata = Struct()
    metadata.update({"a": [0] * (MAX_METADATA_BYTES // 2 - 4)})
    assert metadata_text(struct_fields(metadata), "")
    person: Any = matcher_pb2.Person(metadata=metadata)
    for number in range(MAX_LABELS):
        person.labels[f"{number:063}"] = MAX_VALUE_CHARACTERS * WIDEST
    assert metadata.ByteSize() <= 6 * MAX_METADATA_BYTES
    people = item_of(matcher_pb2.ListPersonsResponse, "persons").ByteSize() * ids.MAX_PAGE_SIZE
    assert people + PAGE_ATTRIBUTE_BYTES + person.ByteSize() <= DEFAULT_BYTES


@pytest.mark.parametrize(("kind", "field"), LISTS, ids=lambda each: getattr(each, "__name__", each))
def test_the_longest_page_is_within_what_a_client_takes_by_default(kind: type[Message], field: str) -> None:
    page: Any = kind()
    getattr(page, field).extend([item_of(kind, field)] * ids.MAX_PAGE_SIZE)
    page.next_page_token = 1024 * "x"
    assert DEFAULT_BYTES // 10 < page.ByteSize() <= DEFAULT_BYTES


def test_the_longest_part_of_a_persons_export_is_within_it_too() -> None:
    face: Any = item_of(matcher_pb2.ExportPersonResponse, "faces")
    face.encoding.values[:] = [0.1] * 128
    event: Any = item_of(matcher_pb2.ExportPersonResponse, "events")
    for part in (
        matcher_pb2.ExportPersonResponse(faces=[face] * PART_ROWS),
        matcher_pb2.ExportPersonResponse(events=[event] * PART_ROWS),
    ):
        assert DEFAULT_BYTES // 10 < part.ByteSize() <= DEFAULT_BYTES


def test_the_longest_answers_of_identify_and_enroll_are_within_it_too() -> None:
    face: Any = item_of(matcher_pb2.IdentifyResponse, "faces")
    face.candidates.extend(
        [item_of(matcher_pb2.IdentifiedFace, "candidates")] * decision_servicer.MAX_CANDIDATES
    )
    identified = matcher_pb2.IdentifyResponse(faces=[face] * decision_servicer.MAX_PROBES)
    enrolled: Any = item_of(matcher_pb2.EnrollResponse, "faces")
    outcome = matcher_pb2.EnrollResponse(faces=[enrolled] * person_servicer.MAX_ITEMS)
    assert DEFAULT_BYTES // 2 < identified.ByteSize() <= DEFAULT_BYTES
    assert outcome.ByteSize() <= DEFAULT_BYTES
