"""Makes the request of a short path: from a form, from JSON, or from a path and a query."""

import base64
import binascii
import json
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl

from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from facerec.gateway import failures, forms, messages
from facerec.gateway.messages import MAX_DEPTH
from facerec.gateway.routes import Route

MAX_QUERY_FIELDS: Final = 256
_BOOLEANS: Final = {"true": True, "false": False}


def from_form(route: Route, body: bytes, content_type: str) -> Message:
    """The request of a form: photos as files, other fields as text. Raises Failed, naming the field."""
    images, texts = [], []
    for part in forms.parse(body, content_type):
        if part.name in route.images:
            if not part.is_file:
                raise failures.option_invalid(
                    f"{part.name} is no file: send one, as in curl -F {part.name}=@photo.jpg", part.name
                )
            images.append((part.name, part.data))
        elif part.is_file:
            raise failures.option_invalid(f"{part.name[:64]} takes no file", part.name[:64])
        else:
            texts.append((part.name, part.text))
    request = route.method.request()
    _add_images(request, route, images)
    _set_texts(request, texts)
    return request


def from_query(route: Route, fields: Mapping[str, str], query: bytes) -> Message:
    """The request of a path's fields and a query. Raises Failed, naming the field."""
    request = route.method.request()
    try:
        pairs = parse_qsl(
            query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MAX_QUERY_FIELDS
        )
    except ValueError:
        raise failures.option_invalid("the query is no list of fields in UTF-8") from None
    for name, _ in pairs:
        if name in fields:
            raise failures.option_invalid(f"{name} is in the path already", name)
    _set_texts(request, [*fields.items(), *pairs])
    return request


def from_json(route: Route, body: bytes) -> Message:
    """The request of JSON: its fields, and photos in base64 under the names that forms have for them.

    Raises Failed, naming the field.
    """
    messages.check_values(body)
    try:
        found = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        raise failures.option_invalid("the body is no JSON in UTF-8") from None
    if not isinstance(found, dict):
        raise failures.option_invalid("the body is no JSON object")
    photos = {name: found.pop(name) for name in route.images if name in found and name != route.images[name]}
    request = route.method.request()
    _parse(found, request)
    _add_images(
        request, route, [(name, _decode(name, each)) for name in photos for each in _list(photos[name])]
    )
    return request


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _decode(name: str, text: Any) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (TypeError, ValueError, binascii.Error):
        raise failures.option_invalid(f"{name} is no base64", name) from None


def _parse(found: dict[str, Any], request: Message) -> None:
    try:
        json_format.ParseDict(found, request, max_recursion_depth=MAX_DEPTH)
    except Exception as error:  # json_format raises others than its own too
        raise messages.invalid(error) from None


def _add_images(request: Message, route: Route, images: Iterable[tuple[str, bytes]]) -> None:
    """Set each photo in its field, with an element of its own where the field is in a repeated one."""
    given = set()
    for name, data in images:
        *path, last = route.images[name].split(".")
        parent: Any = request
        for step in path:
            child = getattr(parent, step)
            repeated = _is_repeated(parent.DESCRIPTOR.fields_by_name[step])
            parent = child.add() if repeated else child
            if repeated:
                given.discard(name)
        if name in given:
            raise failures.option_invalid(f"{name} is given twice", name)
        given.add(name)
        setattr(parent, last, data)


def _set_texts(request: Message, texts: Iterable[tuple[str, str]]) -> None:
    values: dict[str, list[str]] = {}
    for name, text in texts:
        values.setdefault(name, []).append(text)
    for name, given in values.items():
        _set(request, name, given)


def _set(request: Message, name: str, texts: list[str]) -> None:
    """Set a field by its path, such as options.max_faces, in each element of repeated messages on the way.

    Several texts are the values of a repeated field, or of the elements in turn.
    """
    *path, last = name.split(".")
    parents: list[Any] = [request]
    for step in path:
        field = _field(parents[0], step, name)
        if field.message_type is None or _is_map(field):
            raise _unknown(name)
        children = [getattr(parent, field.name) for parent in parents]
        parents = [each for child in children for each in child] if _is_repeated(field) else children
        if not parents:
            raise failures.option_invalid(f"{name[:64]}: there is no photo that it is about", name[:64])
    field = _field(parents[0], last, name)
    values = [_value(field, text, name) for text in texts]
    if _is_repeated(field) and not _is_map(field):
        per_parent: list[Any] = [values] * len(parents)
    elif len(values) == 1:
        per_parent = values * len(parents)
    elif len(values) == len(parents):
        per_parent = values
    else:
        raise failures.option_invalid(f"{name[:64]} is given {len(values)} times", name[:64])
    for parent, value in zip(parents, per_parent, strict=True):
        part = type(parent)()
        _parse({field.name: value}, part)
        parent.MergeFrom(part)


def _field(parent: Any, step: str, name: str) -> FieldDescriptor:
    """The field of a message by its name in JSON or in the proto. Raises Failed."""
    described = parent.DESCRIPTOR
    found = described.fields_by_name.get(step) or described.fields_by_camelcase_name.get(step)
    if found is None:
        raise _unknown(name)
    return found  # type: ignore[no-any-return]


def _unknown(name: str) -> failures.Failed:
    return failures.option_invalid(f"there is no field {name[:64]}", name[:64])


def _value(field: FieldDescriptor, text: str, name: str) -> Any:
    """A text as the JSON value of a field: messages and maps are JSON themselves."""
    described = field.message_type
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return _BOOLEANS.get(text.lower(), text)
    if described is not None and described.full_name != "google.protobuf.Timestamp":
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            raise failures.option_invalid(f"{name} is no JSON", name) from None
    return text


def _is_repeated(field: FieldDescriptor) -> bool:
    return bool(field.is_repeated)


def _is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and bool(field.message_type.GetOptions().map_entry)
