"""Reads the parameters of a call: each by its name, and nothing is left over."""

import base64
import binascii
import json
import re
from collections.abc import Collection
from typing import Any, Final

from facerec.gateway.messages import MAX_JSON_VALUES
from facerec.gateway.rekognition.errors import Refused, invalid

_FACE_ID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_S3: Final = "InvalidS3ObjectException"


class Parameters:
    """The parameters of a call, from its body in JSON. Every function raises Refused, naming the parameter.

    A parameter is taken by reading it. `end` refuses those that were not, so that none is ignored.
    """

    def __init__(self, body: bytes) -> None:
        if sum(map(body.count, (b",", b"[", b"{"))) > MAX_JSON_VALUES:
            raise invalid(f"the request has more than {MAX_JSON_VALUES:,} values")
        try:
            found = json.loads(body or b"{}", parse_constant=_refuse_constant)
        except (ValueError, RecursionError):
            raise Refused("SerializationException", "the body is no JSON in UTF-8") from None
        if not isinstance(found, dict):
            raise Refused("SerializationException", "the body is no JSON object")
        self._left: dict[str, Any] = {name: value for name, value in found.items() if value is not None}

    def end(self) -> None:
        """Raises Refused if a parameter was not read."""
        for name in self._left:
            raise invalid(f"{name[:64]} is no parameter of this call, or not offered here")

    def text(self, name: str) -> str:
        """A text that must be given."""
        found = self.optional_text(name)
        if not found:
            raise invalid(f"{name} must be given")
        return found

    def optional_text(self, name: str) -> str:
        """A text; empty if it is not given."""
        found = self._left.pop(name, "")
        if not _is_text(found):
            raise invalid(f"{name} is a text")
        return str(found)

    def whole(self, name: str, *, default: int, least: int, most: int) -> int:
        """A whole number."""
        found = self._left.pop(name, default)
        if not isinstance(found, int) or isinstance(found, bool) or not least <= found <= most:
            raise invalid(f"{name} is a whole number from {least} to {most}")
        return found

    def percent(self, name: str, default: float) -> float:
        """A number from 0 to 100."""
        found = self._left.pop(name, default)
        if isinstance(found, bool) or not isinstance(found, int | float) or not 0 <= found <= 100:
            raise invalid(f"{name} is a number from 0 to 100")
        return float(found)

    def choice(self, name: str, choices: Collection[str], default: str) -> str:
        """One of several texts."""
        found = self._left.pop(name, default)
        if not isinstance(found, str) or found not in choices:
            raise invalid(f"{name} is one of {', '.join(choices)}")
        return found

    def choices(self, name: str, choices: Collection[str]) -> list[str]:
        """A list of some of several texts; empty if it is not given."""
        found = self._left.pop(name, [])
        if not isinstance(found, list) or not all(
            isinstance(each, str) and each in choices for each in found
        ):
            raise invalid(f"{name} is a list of {', '.join(choices)}")
        return found

    def texts(self, name: str, *, most: int) -> list[str]:
        """A list of up to so many texts, each once; empty if it is not given."""
        found = self._left.pop(name, [])
        if not isinstance(found, list) or not all(each and _is_text(each) for each in found):
            raise invalid(f"{name} is a list of texts")
        if len(found) > most:
            raise invalid(f"{name} has at most {most} elements here")
        return list(dict.fromkeys(found))

    def face_ids(self, *, most: int) -> list[str]:
        """FaceIds, as `texts`. What is no id is refused before any of them is changed."""
        found = self.texts("FaceIds", most=most)
        if not all(map(_FACE_ID.fullmatch, found)):
            raise invalid("FaceIds has something else than ids of faces, which are UUIDs")
        return found

    def image(self, name: str) -> bytes:
        """An image's bytes. One in S3 is refused: nothing is fetched."""
        found = self._left.pop(name, None)
        if not isinstance(found, dict) or not found:
            raise invalid(f"{name} must be given, as {name}.Bytes")
        if "S3Object" in found:
            raise Refused(_S3, f"{name}.S3Object: there is no S3 here: send the image as {name}.Bytes")
        if set(found) != {"Bytes"}:
            raise invalid(f"{name} has Bytes and nothing else")
        try:
            image = base64.b64decode(found["Bytes"], validate=True)
        except (TypeError, ValueError, binascii.Error):
            raise invalid(f"{name}.Bytes is no base64") from None
        if not image:
            raise invalid(f"{name}.Bytes is empty")
        return image

    def unused(self, name: str) -> None:
        """Take a parameter that has no effect here."""
        self._left.pop(name, None)

    def refuse_if_given(self, name: str, why: str) -> None:
        """Refuse a parameter that cannot be followed, unless it is empty."""
        if self._left.pop(name, None):
            raise invalid(f"{name}: {why}")


def _is_text(value: Any) -> bool:
    """Whether it is text that can be sent on: JSON may have halves of surrogate pairs."""
    try:
        return isinstance(value, str) and value.encode() is not None
    except UnicodeEncodeError:
        return False


def _refuse_constant(name: str) -> float:
    raise ValueError(name)
