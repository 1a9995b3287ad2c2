"""Labels and metadata of persons, and filters by labels and ids, as a client's arguments and results."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeAlias

from google.protobuf.struct_pb2 import Struct

from facerec.client.failures import option_invalid
from facerec.matcher import v1
from facerec.structs import struct_fields

Labels: TypeAlias = Mapping[str, str]
"""A person's labels: texts by keys, by which persons can be searched."""

Metadata: TypeAlias = Mapping[str, Any]
"""A caller's own data: what JSON can hold."""

LabelFilter: TypeAlias = Mapping[str, str | Sequence[str]]
"""Labels that must be equal: for each key one value, or any of several."""


class HasMetadata(Protocol):
    """A message with metadata."""

    @property
    def metadata(self) -> Struct:
        """The metadata."""


def metadata_struct(metadata: Metadata | None, field: str = "metadata") -> Struct | None:
    """The message of metadata; None for None.

    Raises FacerecError OPTION_INVALID where JSON cannot hold a value.
    """
    if metadata is None:
        return None
    struct = Struct()
    try:
        struct.update(dict(metadata))
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise option_invalid(field, f"{field} holds what JSON does not: {error}") from None
    return struct


def metadata_of(message: HasMetadata) -> dict[str, Any]:
    """The metadata of a message; empty for none."""
    return struct_fields(message.metadata)


def person_filter(
    labels: LabelFilter | None, person_ids: Sequence[str], suspended: bool | None = None
) -> v1.PersonFilter | None:
    """The message of a filter; None for everybody.

    Raises FacerecError OPTION_INVALID for ids in one text.
    """
    if isinstance(person_ids, str):
        raise option_invalid("person_ids", "person_ids is a text: pass a list of ids")
    if not labels and not person_ids and suspended is None:
        return None
    return v1.PersonFilter(
        labels={
            key: v1.LabelValues(values=[values] if isinstance(values, str) else values)
            for key, values in (labels or {}).items()
        },
        person_ids=person_ids,
        suspended=suspended,
    )
