"""Sets the fields of a request that a form or a query gives as text, by their paths."""

import json
from collections.abc import Iterable
from typing import Any, Final

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from facerec.gateway import failures, messages
from facerec.gateway.short_paths.routes import Route

_BOOLEANS: Final = {"true": True, "false": False}
_STRUCT: Final = "google.protobuf.Struct"
_TEXTS: Final = {f"google.protobuf.{name}" for name in ("Timestamp", "Duration", "FieldMask")}
"""The messages that are texts in JSON."""


def set_texts(request: Message, route: Route, texts: Iterable[tuple[str, str]]) -> None:
    """Set each field that is named, by either of its names. Raises Failed, naming the field."""
    values: dict[str, list[str]] = {}
    for name, text in texts:
        values.setdefault(_in_proto(request, name), []).append(text)
    for name, given in values.items():
        if find(request, name.partition(".")[0]) is None:
            raise _unknown(name, route.path, route.names())
        _set(request, name, given)


def _in_proto(message: Any, name: str) -> str:
    """A path with the names of the proto, as far as it leads through messages and their fields are known."""
    step, dot, rest = name.partition(".")
    field = find(message, step)
    if field is None:
        return name
    kind = field.message_type
    if dot and kind is not None and kind.full_name != _STRUCT and not _is_map(field):
        rest = _in_proto(GetMessageClass(kind), rest)
    return f"{field.name}{dot}{rest}"


def find(message: Any, step: str) -> FieldDescriptor | None:
    """The field of a message by its name in JSON or in the proto; None for none."""
    described = message.DESCRIPTOR
    found = described.fields_by_name.get(step) or described.fields_by_camelcase_name.get(step)
    return found  # type: ignore[no-any-return]


def is_repeated(field: FieldDescriptor) -> bool:
    """Whether it is a list or a map."""
    return bool(field.is_repeated)


def _set(request: Message, name: str, texts: list[str]) -> None:
    """Set a field by its path, such as options.max_faces, in each element of repeated messages on the way.

    Several texts are the values of a repeated field, or of the elements in turn.
    """
    parents, field, key = _follow(request, name)
    values = [{key: text} if key is not None else _value(field, text, name) for text in texts]
    if is_repeated(field) and not _is_map(field):
        per_parent: list[Any] = [values] * len(parents)
    elif len(values) == 1:
        per_parent = values * len(parents)
    elif len(values) == len(parents):
        per_parent = values
    else:
        raise failures.option_invalid(f"{name[:64]} is given {len(values)} times", name[:64])
    for parent, value in zip(parents, per_parent, strict=True):
        part = type(parent)()
        messages.parse_value({field.name: value}, part)
        parent.MergeFrom(part)


def _follow(request: Message, name: str) -> tuple[list[Any], FieldDescriptor, str | None]:
    """The messages that a path leads to, its field in them, and a map's key if it ends with one.

    A key may have dots: that of a map of texts is all that is left of the path, as in labels.site, and that
    of a map of messages all but the last step, as in filter.labels.site.values.
    """
    parents: list[Any] = [request]
    step, dot, rest = name.partition(".")
    field = _field(parents[0], step, name)
    while dot:
        described = field.message_type
        if described is None or described.full_name == _STRUCT:
            raise failures.option_invalid(f"{name[:64]}: {step[:64]} has no fields", name[:64])
        children = [getattr(parent, field.name) for parent in parents]
        if _is_map(field):
            if described.fields_by_name["value"].message_type is None:
                return parents, field, rest
            key, _, rest = rest.rpartition(".")
            if not key:
                raise failures.option_invalid(
                    f"{name[:64]}: name a key, as in {step}.KEY.{rest[:64]}", name[:64]
                )
            parents = [child[key] for child in children]
        else:
            parents = [each for child in children for each in child] if is_repeated(field) else children
        if not parents:
            raise failures.option_invalid(
                f"{name[:64]}: there is no photo that it is about; send one, or the whole {step} as JSON",
                name[:64],
            )
        step, dot, rest = rest.partition(".")
        field = _field(parents[0], step, name)
    return parents, field, None


def _field(parent: Any, step: str, name: str) -> FieldDescriptor:
    """The field of a message by its name. Raises Failed."""
    found = find(parent, step)
    if found is None:
        described = parent.DESCRIPTOR
        raise _unknown(name, described.name, described.fields_by_name)
    return found


def _unknown(name: str, owner: str, names: Iterable[str]) -> failures.Failed:
    return failures.option_invalid(
        f"there is no field {name[:64]}: {owner} takes {', '.join(names)}", name[:64]
    )


def _value(field: FieldDescriptor, text: str, name: str) -> Any:
    """A text as the JSON value of a field: messages and maps are JSON themselves."""
    described = field.message_type
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return _BOOLEANS.get(text.lower(), text)
    if described is not None and described.full_name not in _TEXTS:
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            raise failures.option_invalid(f"{name} is no JSON", name) from None
    return text


def _is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and bool(field.message_type.GetOptions().map_entry)
