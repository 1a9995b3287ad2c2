"""Builds requests that are valid except for one field, from the ranges the contract states."""

import dataclasses
from collections.abc import Iterator
from typing import Any

from google.protobuf import descriptor, message

from scripts import field_behavior
from tests.contract import comments

BEHAVIORS = field_behavior.behaviors()
SYMBOLS = {symbol.full_name: symbol for symbol in comments.read()}
Field = descriptor.FieldDescriptor
AnyField = Any  # the pure-Python and the upb descriptors share no base that the type stubs know
Path = tuple[str | int, ...]


@dataclasses.dataclass(frozen=True)
class Case:
    """One field of one RPC and a value within or beyond its stated range."""

    rpc: str
    path: Path
    value: comments.Bound
    counts: bool  # the value is a length or a number of items, not the field's own value

    @property
    def field(self) -> str:
        """The path as errors name it: `items[0].probe.image`."""
        parts = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in self.path]
        return "".join(parts).removeprefix(".")

    def __str__(self) -> str:
        return f"{self.rpc}:{self.field}={'x' if self.counts else ''}{self.value}"


def offered(service: descriptor.ServiceDescriptor) -> list[descriptor.MethodDescriptor]:
    """The RPCs the contract does not mark as missing."""
    return [
        method for method in service.methods if "Not offered yet" not in SYMBOLS[method.full_name].comment
    ]


def inside(method: descriptor.MethodDescriptor, base: message.Message) -> list[Case]:
    """The minimum and maximum of every field whose range is stated."""
    return list(_cases(method, base, (0, 0)))


def outside(method: descriptor.MethodDescriptor, base: message.Message) -> list[Case]:
    """The values next below and above every stated range."""
    return [case for case in _cases(method, base, (-1, 1)) if _can_be_sent(case, method)]


def lacking(method: descriptor.MethodDescriptor, base: message.Message) -> list[Case]:
    """Every field that the base request sets and may not do without, to be left out."""
    required = [path for path, field in _set_fields(base, ()) if BEHAVIORS.get(field.full_name) == "REQUIRED"]
    return [Case(method.name, path, 0, counts=True) for path in required]


def without(case: Case, base: message.Message) -> message.Message:
    """The base request without the case's field."""
    request = type(base)()
    request.CopyFrom(base)
    target: Any = request
    for part in case.path[:-1]:
        target = target[part] if isinstance(part, int) else getattr(target, part)
    target.ClearField(str(case.path[-1]))
    return request


def minimal(base: message.Message) -> message.Message:
    """The base request with nothing but what it may not do without."""
    request = type(base)()
    request.CopyFrom(base)
    _strip(request)
    return request


def build(case: Case, base: message.Message) -> message.Message:
    """The base request with the case's field set."""
    request = type(base)()
    request.CopyFrom(base)
    target: Any = request
    for part in case.path[:-1]:
        target = target[part] if isinstance(part, int) else getattr(target, part)
    name = str(case.path[-1])
    field = target.DESCRIPTOR.fields_by_name[name]
    if field.is_repeated:
        items = getattr(target, name)
        if _is_map(field):
            _fill(items, int(case.value))
            return request
        first = items[0] if len(items) else "x" if field.type == Field.TYPE_STRING else 1.0
        copies = [first] * int(case.value)
        del items[:]
        items.extend(copies)
    elif field.type == Field.TYPE_STRING:
        setattr(target, name, "x" * int(case.value))
    elif field.type == Field.TYPE_BYTES:
        setattr(target, name, b"x" * int(case.value))
    else:
        setattr(target, name, case.value)
    return request


def _is_map(field: AnyField) -> bool:
    return field.message_type is not None and bool(field.message_type.GetOptions().map_entry)


def _fill(items: Any, count: int) -> None:
    """Give a map so many entries: of texts, or of messages with one text each."""
    for number in range(count):
        if hasattr(items, "get_or_create"):
            items.get_or_create(f"k{number}").values.append("x")
        else:
            items[f"k{number}"] = "x"


def _cases(
    method: descriptor.MethodDescriptor, base: message.Message, step: tuple[int, int]
) -> Iterator[Case]:
    for path, field in _fields(base, ()):
        bounds = SYMBOLS[field.full_name].bounds
        if bounds is None:
            continue
        counts = field.is_repeated or field.type in (Field.TYPE_STRING, Field.TYPE_BYTES)
        yield Case(method.name, path, bounds[0] + step[0], counts)
        yield Case(method.name, path, bounds[1] + step[1], counts)


def _fields(target: message.Message, path: Path) -> Iterator[tuple[Path, AnyField]]:
    """Every scalar or repeated field below a message, through the messages the base request sets."""
    for field in target.DESCRIPTOR.fields:
        here = (*path, field.name)
        scalar = field.is_repeated or field.type != Field.TYPE_MESSAGE
        chosen = field.containing_oneof is None or _optional(field) or target.HasField(field.name)
        if scalar and chosen:
            yield here, field
        if field.type == Field.TYPE_MESSAGE:
            value = getattr(target, field.name)
            if _is_map(field):
                continue
            if field.is_repeated:
                for index, item in enumerate(value[:1]):
                    yield from _fields(item, (*here, index))
            elif target.HasField(field.name):
                yield from _fields(value, here)


def _set_fields(target: message.Message, path: Path) -> Iterator[tuple[Path, AnyField]]:
    """Every field that is set, messages too, below a message; of lists the first item's."""
    for field, value in target.ListFields():
        here = (*path, field.name)
        yield here, field
        for index, item in _messages(field, value)[:1]:
            yield from _set_fields(item, here if index is None else (*here, index))


def _strip(target: message.Message) -> None:
    for field, value in target.ListFields():
        chosen = field.containing_oneof is not None and not _optional(field)
        if not chosen and BEHAVIORS.get(field.full_name) != "REQUIRED":
            target.ClearField(field.name)
            continue
        for _, item in _messages(field, value):
            _strip(item)


def _messages(field: AnyField, value: Any) -> list[tuple[int | None, message.Message]]:
    """The messages in a field, with their index in a list."""
    if field.type != Field.TYPE_MESSAGE or _is_map(field):
        return []
    return list(enumerate(value)) if field.is_repeated else [(None, value)]


def _optional(field: AnyField) -> bool:
    return field.containing_oneof is not None and field.containing_oneof.name == f"_{field.name}"


def _can_be_sent(case: Case, method: descriptor.MethodDescriptor) -> bool:
    """Whether protobuf can carry the value: no length and no unsigned number is negative."""
    if case.value >= 0:
        return True
    target: Any = method.input_type
    for part in case.path[:-1]:
        if isinstance(part, str):
            target = target.fields_by_name[part].message_type
    field = target.fields_by_name[str(case.path[-1])]
    return not case.counts and field.type not in (Field.TYPE_UINT32, Field.TYPE_UINT64)
