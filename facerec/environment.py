"""Boolean environment variables."""

import os
from collections.abc import Mapping

from facerec.errors import FacerecError, Reason

_VALUES = {
    "1": True,
    "true": True,
    "yes": True,
    "on": True,
    "0": False,
    "false": False,
    "no": False,
    "off": False,
}


def boolean(name: str, environment: Mapping[str, str] = os.environ) -> bool:
    """Whether the variable `name` is on: 1, true, yes or on; 0, false, no or off, in any case.

    Unset or empty it is off. Raises FacerecError OPTION_INVALID, naming the variable, for any other value.
    """
    text = environment.get(name, "")
    if not text:
        return False
    try:
        return _VALUES[text.lower()]
    except KeyError:
        raise FacerecError(
            f"{name}={text}: set it to 1, true, yes or on, or to 0, false, no or off",
            reason=Reason.OPTION_INVALID,
            field=name,
        ) from None
