"""Decodes JSON texts, without repeated keys, and with one error for all that is invalid."""

import json
from typing import Any, Final


class InvalidJson(ValueError):
    """A text is not valid JSON; the message says why."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise InvalidJson("the line's JSON object has a key twice")
    return made


DECODER: Final = json.JSONDecoder(object_pairs_hook=_object)


def decode(text: str) -> Any:
    """The value of a JSON text. Raises InvalidJson."""
    try:
        return DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise InvalidJson(f"the line is not valid JSON: {error.msg} at character {error.colno}") from None
    except InvalidJson:
        raise
    except (ValueError, RecursionError):
        raise InvalidJson(
            "the line's JSON has a number that is too long, or arrays nested too deeply"
        ) from None
