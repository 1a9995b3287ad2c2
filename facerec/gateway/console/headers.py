"""The headers of all that the console answers, and which requests come from its own pages."""

from collections.abc import Mapping
from typing import Final

from facerec.gateway.origins import Headers

_POLICY: Final = (
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' blob: data:",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    # No text becomes HTML, a script or a script's URL, not even through a policy that a script makes.
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
)

# No Strict-Transport-Security: a browser would apply it to every port of the host, and at the gateway's own
# nothing answers plain text.
HEADERS: Final[Headers] = [
    (b"content-security-policy", "; ".join(_POLICY).encode()),
    (b"permissions-policy", b"camera=(self), microphone=(), geolocation=(), display-capture=()"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
]


def is_from_own_page(scheme: str, headers: Mapping[str, str]) -> bool:
    """Whether no page of another origin has sent a request.

    Browsers say where a request comes from as Sec-Fetch-Site on HTTPS and on loopback, and elsewhere as
    Origin, which is missing where the page reads from its own origin. A program that is no browser sends
    neither.
    """
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None:
        return site == "same-origin"
    return origin is None or origin == f"{scheme}://{headers.get('host', '')}"
