"""What a request of CompreFace's asks: parameters, photos and JSON, wherever it has them."""

import base64
import binascii
import dataclasses
import json
import math
import re
import uuid
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import unquote

from facerec.gateway import forms, messages
from facerec.gateway.compreface import refusals
from facerec.gateway.compreface.refusals import Refused

_BOOLEANS: Final = {
    **dict.fromkeys(("true", "1", "yes", "on"), True),
    **dict.fromkeys(("false", "0", "no", "off"), False),
}
_WHOLE: Final = re.compile(r"-?[0-9]{1,9}")


@dataclasses.dataclass(frozen=True)
class Asked:
    """A request.

    Attributes:
        in_path: The variables of its path.
        values: The parameters of the query, and of a form's fields.
        photos: The files of a form.
        document: The body's JSON; None for a form, or without a body.
    """

    in_path: Mapping[str, str]
    values: Mapping[str, str]
    photos: Mapping[str, bytes]
    document: Any

    def photo(self, name: str) -> bytes:
        """A photo: a file of a form, or base64 in JSON. Raises Refused."""
        if self.document is None:
            if name not in self.photos:
                raise Refused(f"Required part {name} is missing", refusals.MISSING_PART)
            return self.photos[name]
        text = self.field(name)
        if not isinstance(text, str) or not text:
            raise Refused(f"Field {name} cannot be empty", refusals.EMPTY_FIELD)
        try:
            return base64.b64decode("".join(text.split()), validate=True)
        except (ValueError, binascii.Error):
            raise Refused(f"{name} is not Base64", refusals.BAD_FILE) from None

    def field(self, name: str) -> Any:
        """A field of the JSON; None without it. Raises Refused for what is no object."""
        if not isinstance(self.document, dict):
            raise Refused("the body is no JSON object", refusals.BAD_ARGUMENT)
        return self.document.get(name)

    def subject(self) -> str:
        """The parameter `subject`. Raises Refused if there is none."""
        if "subject" not in self.values:
            raise Refused("Required parameter subject is missing", refusals.MISSING_PARAMETER)
        return named(self.values["subject"])

    def image_id(self) -> str:
        """The example that the path names, as a UUID in its usual form. Raises Refused."""
        return example_id(self.in_path["image_id"])

    def only(self, *names: str) -> None:
        """Raises Refused for other parameters, and for a body: a call that erases many ignores nothing."""
        for name in self.values:
            if name not in names:
                raise Refused(f"there is no parameter {name[:64]}", refusals.BAD_ARGUMENT)
        if self.photos or self.document is not None:
            raise Refused("this call takes no body", refusals.BAD_ARGUMENT)

    def whole(self, name: str, default: int, low: int, high: int) -> int:
        """A whole number within a range. Raises Refused."""
        text = self.values.get(name, "")
        if not text:
            return default
        if not _WHOLE.fullmatch(text):
            raise Refused(f"{name} is no whole number", refusals.BAD_ARGUMENT)
        if not low <= int(text) <= high:
            raise Refused(f"{name} must be from {low} to {high}", refusals.INVALID)
        return int(text)

    def share(self, name: str) -> float:
        """A number from 0 to 1; 0 if it is not given. Raises Refused."""
        try:
            value = float(self.values.get(name) or 0)
        except ValueError:
            value = math.nan
        if not 0 <= value <= 1:
            raise Refused(f"{name} must be a number from 0 to 1", refusals.BAD_ARGUMENT)
        return value

    def truth(self, name: str, *, default: bool) -> bool:
        """A truth value. Raises Refused."""
        text = self.values.get(name, "").lower()
        if text and text not in _BOOLEANS:
            raise Refused(f"{name} must be true or false", refusals.BAD_ARGUMENT)
        return _BOOLEANS.get(text, default)


def named(subject: Any) -> str:
    """The name of a subject. Raises Refused for one that is empty or no text."""
    if not isinstance(subject, str) or not subject.strip():
        raise Refused("Subject name cannot be empty", refusals.INVALID)
    try:
        subject.encode()
    except UnicodeEncodeError:  # half a character, which JSON can have
        raise Refused("the subject's name is no text of Unicode", refusals.INVALID) from None
    return subject


def example_id(text: Any) -> str:
    """The id of an example. Raises Refused for what is no UUID."""
    try:
        return str(uuid.UUID(text))
    except (ValueError, AttributeError, TypeError):
        raise Refused("image_id is no UUID", refusals.BAD_ARGUMENT) from None


def read(in_path: Mapping[str, str], query: bytes, content_type: str, body: bytes) -> Asked:
    """Read a request, whose path's variables are still encoded. Raises Refused and Failed."""
    try:
        path = {name: unquote(text, errors="strict") for name, text in in_path.items()}
        pairs = forms.parse_query(query)
    except ValueError:
        raise Refused("the path or the query is no text in UTF-8", refusals.BAD_ARGUMENT) from None
    values: dict[str, str] = {}
    for name, text in pairs:
        _add(values, name, text)
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        photos: dict[str, bytes] = {}
        for part in forms.parse(body, content_type):
            if part.is_file:
                _add(photos, part.name, part.data)
            else:
                _add(values, part.name, part.text)
        return Asked(path, values, photos, None)
    return Asked(path, values, {}, _parse(body, kind) if body else None)


def _add(found: dict[str, Any], name: str, value: Any) -> None:
    if name in found:
        raise Refused(f"{name[:64]} is given twice", refusals.BAD_ARGUMENT)
    found[name] = value


def _parse(body: bytes, kind: str) -> Any:
    if kind != "application/json":
        raise Refused("send multipart/form-data or application/json", refusals.OTHER)
    messages.check_values(body)
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise Refused("the body is no JSON in UTF-8", refusals.BAD_ARGUMENT) from None
