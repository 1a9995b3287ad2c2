"""Whether the identity of a URL's servers is verified."""

import ipaddress
import os
from collections.abc import Mapping
from urllib.parse import parse_qs, unquote, urlsplit


def why_unverified(url: str, environment: Mapping[str, str] = os.environ) -> str:
    """Return how the connection to the database could be intercepted, or "" if it could not.

    It cannot be with `sslmode=verify-full`, or if all hosts are this machine. What the URL leaves out is read
    from libpq's environment variables, as the driver does.
    """
    try:
        parts = urlsplit(url)
    except ValueError:  # not a URL; connecting reports it
        return ""
    query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    default = "verify-full" if query.get("sslrootcert") == "system" else "prefer"
    mode = query.get("sslmode") or environment.get("PGSSLMODE") or default
    named = query.get("host") or unquote(parts.netloc.rpartition("@")[2]) or environment.get("PGHOST", "")
    if mode == "verify-full" or all(_is_here(host) for host in named.split(",")):
        return ""
    return (
        f"sslmode={mode} does not verify the server's identity, so that an attacker on the network could "
        "read and change everything: end the URL in ?sslmode=verify-full&sslrootcert=FILE (its CA)"
    )


def _is_here(host: str) -> bool:
    """Whether a host, with or without a port, is this machine: a socket directory or a loopback address."""
    name = host.removeprefix("[").partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    if not name or name.startswith(("/", "@")) or name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
