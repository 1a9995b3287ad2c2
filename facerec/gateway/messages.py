"""Messages between HTTP and gRPC: bytes of protobuf, or JSON that is converted."""

import dataclasses
import re
from typing import Any, Final

from connectrpc.codec import Codec
from google.protobuf import json_format
from google.protobuf.message import Message

from facerec.gateway import failures

MAX_JSON_VALUES: Final = 100_000
"""Most values in a message of JSON. Parsed, empty lists and objects take over 20 times their text in memory;
photos, which are what makes messages large, are one value each. Converting as many takes half a second."""
MAX_DEPTH: Final = 64
MAX_MESSAGE: Final = 300
_PATH: Final = re.compile(r' at "?[A-Z]\w*((?:\.[\w\[\]]+)*)')
_OUTER: Final = re.compile(r"Failed to parse (\w+) field")
_UNKNOWN: Final = re.compile(r'no field named "([^"]{0,64})"')
_OBJECT: Final = re.compile(rb"\s*\{")


@dataclasses.dataclass(frozen=True, slots=True)
class Request:
    """A request for a service, as bytes of protobuf, and the bytes that it took in the body."""

    data: bytes
    body_bytes: int


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """A service's answer, as bytes of protobuf, and its class."""

    data: bytes
    kind: type[Message]


class ProtobufCodec(Codec[Answer, Any]):
    """Passes bytes of protobuf on as they are: the services check them."""

    def name(self) -> str:
        """The name in content types."""
        return "proto"

    def encode(self, message: Answer) -> bytes:
        """The bytes of an answer."""
        return message.data

    def decode(self, data: bytes | bytearray, message_class: type[Any]) -> Any:
        """A request's bytes."""
        return Request(bytes(data), len(data))


class JsonCodec(Codec[Answer, Any]):
    """Converts protobuf's JSON."""

    def name(self) -> str:
        """The name in content types."""
        return "json"

    def encode(self, message: Answer) -> bytes:
        """An answer as JSON."""
        return to_json(message)

    def decode(self, data: bytes | bytearray, message_class: type[Any]) -> Any:
        """A request from JSON. Raises Failed."""
        return Request(from_json(bytes(data), message_class).SerializeToString(), len(data))


def to_json(answer: Answer) -> bytes:
    """An answer as a line of JSON: fields that may be unset are left out, others have their default."""
    message = answer.kind.FromString(answer.data)
    text = json_format.MessageToJson(
        message, always_print_fields_with_no_presence=True, indent=None, ensure_ascii=False
    )
    return f"{text}\n".encode()  # a terminal's prompt follows on a line of its own


def from_json(text: bytes, kind: type[Message]) -> Message:
    """Parse a message of a class. Raises Failed, naming the field, for text that is none."""
    check_values(text)
    if text and not _OBJECT.match(text):
        raise failures.option_invalid("the body is no JSON object")
    message = kind()
    try:
        json_format.Parse(text or b"{}", message, max_recursion_depth=MAX_DEPTH)
    except Exception as error:  # json_format raises others than its own too
        raise invalid(error) from None
    return message


def parse_value(found: dict[str, Any], message: Message) -> None:
    """Set a message from an object of parsed JSON. Raises Failed, naming the field."""
    try:
        json_format.ParseDict(found, message, max_recursion_depth=MAX_DEPTH)
    except Exception as error:  # json_format raises others than its own too
        raise invalid(error) from None


def has_too_many_values(text: bytes) -> bool:
    """Whether JSON may have more than MAX_JSON_VALUES values, known before any is made."""
    return sum(map(text.count, (b",", b"[", b"{"))) > MAX_JSON_VALUES


def check_values(text: bytes) -> None:
    """Raises Failed if JSON may have more than MAX_JSON_VALUES values."""
    if has_too_many_values(text):
        raise failures.option_invalid(
            f"the JSON has more than {MAX_JSON_VALUES:,} values: send fewer, or protobuf"
        )


def invalid(error: Exception) -> failures.Failed:
    """The failure by an error of json_format, which names the field."""
    text = " ".join(str(error).split()).partition(" Available Fields")[0]
    at, unknown = _PATH.search(text), _UNKNOWN.search(text)
    path = at[1].removeprefix(".") if at else ".".join(_OUTER.findall(text))
    if unknown:
        path = f"{path}.{unknown[1]}".removeprefix(".")
    return failures.option_invalid(text[:MAX_MESSAGE], path)
