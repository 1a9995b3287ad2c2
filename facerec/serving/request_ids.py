"""An id for each call, by which the log lines of caller, matcher and encoder are found together."""

import re
import secrets
from collections.abc import Iterable

import structlog

HEADER = "x-request-id"
_NAME = "request_id"
_FORM = re.compile(r"[A-Za-z0-9._-]{1,64}")


def enter(metadata: Iterable[tuple[str, str | bytes]] | None) -> None:
    """Take the caller's id, or a new one, for every line that the present call logs."""
    given = next((value for name, value in metadata or () if name == HEADER), "")
    # Whatever else somebody sends as an id is not for the log.
    kept = given if isinstance(given, str) and _FORM.fullmatch(given) else secrets.token_hex(8)
    structlog.contextvars.bind_contextvars(**{_NAME: kept})


def current() -> str:
    """The present call's id; "" outside of one."""
    return str(structlog.contextvars.get_contextvars().get(_NAME, ""))
