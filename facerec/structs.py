"""Reads messages of google.protobuf.Struct, which clients and the matcher exchange as metadata."""

from typing import Any, Final

from google.protobuf.struct_pb2 import Struct, Value

MAX_EXACT_WHOLE: Final = 2**53
"""Whole numbers below it are read as int: a Struct has float64 alone."""


def struct_fields(message: Struct) -> dict[str, Any]:
    """The fields of a Struct as JSON's types in Python; a value without a kind is None."""
    return {key: _plain(value) for key, value in message.fields.items()}


def _plain(value: Value) -> Any:
    match value.WhichOneof("kind"):
        case "number_value":
            number = value.number_value
            return int(number) if number.is_integer() and abs(number) < MAX_EXACT_WHOLE else number
        case "string_value":
            return value.string_value
        case "bool_value":
            return value.bool_value
        case "struct_value":
            return struct_fields(value.struct_value)
        case "list_value":
            return [_plain(item) for item in value.list_value.values]
        case _:
            return None
