"""The cookie of a session."""

import re
from collections.abc import Iterable
from typing import Final

_SECURE_NAME: Final = "__Host-facerec"
"""A browser takes a cookie of this name over HTTPS only, and from this very host."""
_PLAIN_NAME: Final = "facerec"
_VALUE: Final = re.compile(r"[A-Za-z0-9_=-]{1,2048}")


def read(headers: Iterable[tuple[bytes, bytes]], *, is_tls: bool) -> str:
    """The session's cookie in a request's headers; empty for none, for several and for an invalid one.

    Other programs on the same host may have set cookies in any encoding, so the headers are taken as they
    were sent. Over TLS only a cookie that was set over TLS counts.
    """
    cookies = [value.decode("latin-1") for name, value in headers if name == b"cookie"]
    pairs = [pair.strip(" ").partition("=") for cookie in cookies for pair in cookie.split(";")]
    for name in (_SECURE_NAME,) if is_tls else (_SECURE_NAME, _PLAIN_NAME):
        found = [value for each, _, value in pairs if each == name]
        if found:
            return found[0] if len(found) == 1 and _VALUE.fullmatch(found[0]) else ""
    return ""


def set_header(value: str, *, is_secure: bool, max_age_seconds: int | None) -> tuple[bytes, bytes]:
    """The header that sets the cookie: for a time in seconds, or with None until the browser ends.

    An empty value with 0 seconds removes it.
    """
    name = _SECURE_NAME if is_secure else _PLAIN_NAME
    parts = [f"{name}={value}", "Path=/", "HttpOnly", "SameSite=Strict"]
    if is_secure:
        parts.append("Secure")
    if max_age_seconds is not None:
        parts.append(f"Max-Age={max_age_seconds}")
    return b"set-cookie", "; ".join(parts).encode("ascii")
