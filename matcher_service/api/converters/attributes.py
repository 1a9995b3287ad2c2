"""Convert labels, metadata and filters to the domain's dataclasses, checked, and back."""

import json
from collections.abc import Mapping
from typing import Any, Protocol

from google.protobuf.struct_pb2 import Struct

from facerec.matcher.v1 import matcher_pb2 as pb
from facerec.structs import struct_fields
from matcher_service.domain import ids
from matcher_service.domain.attributes import (
    MAX_LABELS,
    AttributeChange,
    Attributes,
    PersonFilter,
    check_key,
    check_labels,
    check_value,
    metadata_text,
)
from matcher_service.domain.errors import OptionInvalid
from matcher_service.domain.faces import PersonChange

MAX_FILTER_VALUES = 16
MAX_FILTER_PERSONS = 1000
CHANGEABLE = ("display_name", "labels", "metadata", "suspended")  # of a person


class HasAttributes(Protocol):
    """A message with labels and metadata."""

    @property
    def labels(self) -> Mapping[str, str]:
        """The labels."""

    @property
    def metadata(self) -> Struct:
        """The metadata."""

    def HasField(self, field_name: Any) -> bool:
        """Whether a message is set."""


def attribute_change(message: HasAttributes, field: str = "") -> AttributeChange:
    """Read labels to set, and metadata if it is set; `field` is the message's. Raises OptionInvalid."""
    prefix = f"{field}." if field else ""
    return AttributeChange(
        check_labels(message.labels, f"{prefix}labels"),
        metadata=_metadata(message.metadata, f"{prefix}metadata") if message.HasField("metadata") else None,
    )


def person_change(message: pb.UpdatePersonRequest) -> PersonChange:
    """Read a change of a person. Raises OptionInvalid."""
    given = attribute_change(message)
    named = {name for name in CHANGEABLE if name != "labels" and message.HasField(name)}  # type: ignore[arg-type]
    named |= {f"labels.{key}" for key in given.labels}
    if message.HasField("update_mask"):
        named = _masked(named, set(message.update_mask.paths))
    if not named and not message.allow_missing:
        raise OptionInvalid(
            "the request changes nothing: set display_name, labels, metadata or suspended, or name them in "
            "update_mask",
            field="update_mask",
        )
    keys = {path.removeprefix("labels.") for path in named if path.startswith("labels.")}
    return PersonChange(
        ids.free_text(message.display_name, "display_name") if "display_name" in named else None,
        AttributeChange(
            given.labels,
            removed=sorted(keys.difference(given.labels)),
            replaces_labels="labels" in named,
            metadata=(given.metadata or "") if "metadata" in named else None,
            suspended=message.suspended if "suspended" in named else None,
        ),
    )


def _masked(given: set[str], wanted: set[str]) -> set[str]:
    """The paths of an update mask. Raises OptionInvalid."""
    for path in wanted.difference(CHANGEABLE):
        if not path.startswith("labels."):
            raise OptionInvalid(
                "update_mask may name only display_name, labels, labels.KEY, metadata and suspended",
                field="update_mask",
            )
        check_key(path.removeprefix("labels."), "update_mask")
    for path in sorted(given.difference(wanted)):
        if not (path.startswith("labels.") and "labels" in wanted):
            raise OptionInvalid(
                f"{path} is set but not in update_mask: add it there, or leave it unset",
                field=path.partition(".")[0],
            )
    return wanted


def person_filter(message: pb.PersonFilter) -> PersonFilter:
    """Read a filter. Raises OptionInvalid, IdInvalid."""
    ids.count(len(message.labels), "filter.labels", 0, MAX_LABELS)
    ids.count(len(message.person_ids), "filter.person_ids", 0, MAX_FILTER_PERSONS)
    labels = {}
    for key, accepted in message.labels.items():
        field = f"filter.labels[{check_key(key, 'filter.labels')}].values"
        ids.count(len(accepted.values), field, 1, MAX_FILTER_VALUES)
        labels[key] = tuple(sorted({check_value(value, field) for value in accepted.values}))
    persons = {
        ids.person_id(person, f"filter.person_ids[{index}]")
        for index, person in enumerate(message.person_ids)
    }
    suspended = message.suspended if message.HasField("suspended") else None
    return PersonFilter(labels, tuple(sorted(persons)), suspended)


def metadata_struct(attributes: Attributes) -> Struct | None:
    """The message of metadata; None for none."""
    if not attributes.metadata:
        return None
    struct = Struct()
    struct.update(json.loads(attributes.metadata))
    return struct


def _metadata(message: Struct, field: str) -> str:
    return metadata_text(struct_fields(message), field)
