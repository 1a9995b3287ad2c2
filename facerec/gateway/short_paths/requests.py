"""Makes the request of a short path: from a form, from JSON, or from a path and a query."""

import base64
import binascii
import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from google.api import field_behavior_pb2
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from facerec.gateway import failures, forms, messages
from facerec.gateway.short_paths import fields
from facerec.gateway.short_paths.routes import Route


def from_form(route: Route, in_path: Mapping[str, str], body: bytes, content_type: str) -> Message:
    """The request of a path's fields and a form: photos as files, other fields as text.

    Raises Failed, naming the field.
    """
    images, texts = [], []
    for part in forms.parse(body, content_type):
        if part.name in route.images:
            if not part.is_file:
                raise failures.option_invalid(
                    f"{part.name} is no file: send one, as in curl -F {part.name}=@photo.jpg", part.name
                )
            images.append((part.name, part.data))
        elif part.is_file:
            raise failures.option_invalid(f"{part.name[:64]} takes no file{_photos(route)}", part.name[:64])
        else:
            texts.append((part.name, part.text))
    request = route.method.request()
    _add_images(request, route, images)
    _check_not_in_path(route, in_path, (name for name, _ in texts))
    fields.set_texts(request, route, [*in_path.items(), *texts])
    _check_photos(request, route, {name for name, _ in images})
    _check_required(request, route)
    return request


def from_query(route: Route, in_path: Mapping[str, str], query: bytes) -> Message:
    """The request of a path's fields and a query. Raises Failed, naming the field."""
    request = route.method.request()
    try:
        pairs = forms.parse_query(query)
    except ValueError:
        raise failures.option_invalid("the query is no list of fields in UTF-8") from None
    _check_not_in_path(route, in_path, (name for name, _ in pairs))
    fields.set_texts(request, route, [*in_path.items(), *pairs])
    return request


def check_place(route: Route, query: bytes, body: bytes) -> None:
    """Raises Failed for a query beside a body, or a body beside a query: its fields would be left out."""
    if route.has_body and query:
        raise failures.option_invalid(f"{route.verb} takes the fields in the body, and no query")
    if body and not route.has_body:
        raise failures.option_invalid(f"{route.verb} takes the fields in the query, and no body")


def from_json(route: Route, in_path: Mapping[str, str], body: bytes) -> Message:
    """The request of a path's fields and JSON: photos are in base64 under the names that forms have for them.

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
    _check_not_in_path(route, in_path, found)
    messages.parse_value(found, request)
    fields.set_texts(request, route, in_path.items())
    _add_images(
        request, route, [(name, _decode(name, each)) for name in photos for each in _list(photos[name])]
    )
    return request


def _check_not_in_path(route: Route, in_path: Mapping[str, str], names: Iterable[str]) -> None:
    """Raises Failed for a field, by either of its names, that is in the path too."""
    described = route.method.request.DESCRIPTOR.fields_by_name
    taken = {*in_path, *(described[name].camelcase_name for name in in_path)}
    for name in names:
        if name in taken:
            raise failures.option_invalid(f"{name} is in the path already", name)


def _photos(route: Route) -> str:
    """What to send as files."""
    takes = " and ".join(f"{name}=@photo.jpg" for name in route.images)
    return f": send {takes}" if takes else ""


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _decode(name: str, text: Any) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (TypeError, ValueError, binascii.Error):
        raise failures.option_invalid(f"{name} is no base64", name) from None


def _add_images(request: Message, route: Route, images: list[tuple[str, bytes]]) -> None:
    """Set each photo in its field, with an element of its own where the field is in a repeated one."""
    given = set()
    times = Counter(name for name, _ in images)
    for name, data in images:
        paths = route.several if times[name] > 1 and name in route.several else route.images
        *path, last = paths[name].split(".")
        parent: Any = request
        for step in path:
            child = getattr(parent, step)
            repeated = fields.is_repeated(parent.DESCRIPTOR.fields_by_name[step])
            parent = child.add() if repeated else child
            if repeated:
                given.discard(name)
        if name in given:
            raise failures.option_invalid(f"{name} is given twice: {route.path} takes one", name)
        given.add(name)
        setattr(parent, last, data)


def _check_photos(request: Message, route: Route, given: Collection[str]) -> None:
    """Raises Failed for a photo that is missing, with no other face in its place."""
    for name, path in route.images.items():
        paths = [path, *([route.several[name]] if name in route.several else [])]
        if name not in given and not any(_has_face(request, each) for each in paths):
            raise failures.option_invalid(f"there is no photo: send {name}=@photo.jpg", name)


def _has_face(parent: Any, path: str) -> bool:
    """Whether a photo's field, or another of its oneof, is set."""
    step, _, rest = path.partition(".")
    field, child = parent.DESCRIPTOR.fields_by_name[step], getattr(parent, step)
    if rest:
        return any(_has_face(each, rest) for each in (child if fields.is_repeated(field) else [child]))
    oneof = field.containing_oneof
    return bool(parent.WhichOneof(oneof.name) if oneof else child)


def _check_required(request: Message, route: Route) -> None:
    """Raises Failed for a field of text that is required and empty."""
    for field in request.DESCRIPTOR.fields:
        behavior = field.GetOptions().Extensions[field_behavior_pb2.field_behavior]
        is_required = field.type == FieldDescriptor.TYPE_STRING and field_behavior_pb2.REQUIRED in behavior
        if is_required and not getattr(request, field.name):
            raise failures.option_invalid(
                f"{field.name} is missing: {route.path} takes {', '.join(route.names())}", field.name
            )
