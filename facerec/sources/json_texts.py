"""JSON without repeated keys, and with one error for all that can't be read."""

import json
from typing import Any, Final


class NotJson(ValueError):
    """A text is no JSON; the message says what is wrong."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise NotJson("the line's JSON object has a key twice")
    return made


DECODER: Final = json.JSONDecoder(object_pairs_hook=_object)


def decode(text: str) -> Any:
    """What a JSON text holds. Raises NotJson."""
    try:
        return DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise NotJson(f"the line is no JSON: {error.msg} at character {error.colno}") from None
    except NotJson:
        raise
    except (ValueError, RecursionError):
        raise NotJson("the line's JSON has a number too long, or lists in lists too deep") from None
