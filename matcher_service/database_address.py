"""What a database's URL says of the way there: whether the server is known by its certificate."""

import ipaddress
import os
from collections.abc import Mapping
from urllib.parse import parse_qs, unquote, urlsplit


def why_unverified(url: str, environment: Mapping[str, str] = os.environ) -> str:
    """Say how the way to the database could be listened in on or led elsewhere; "" where it could not.

    That is where the URL asks for `sslmode=verify-full`, or its hosts are this machine alone. What the URL
    leaves out is read from libpq's variables, as the driver does.
    """
    try:
        parts = urlsplit(url)
    except ValueError:  # no URL; connecting says so
        return ""
    query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    mode = query.get("sslmode") or environment.get("PGSSLMODE") or "prefer"
    named = query.get("host") or unquote(parts.netloc.rpartition("@")[2]) or environment.get("PGHOST", "")
    if mode == "verify-full" or all(_is_here(host) for host in named.split(",")):
        return ""
    return (
        f"sslmode={mode} does not verify that the server is the one of that name, and whoever is on the way "
        "could read and change everything: end the URL in ?sslmode=verify-full&sslrootcert=FILE (its CA)"
    )


def _is_here(host: str) -> bool:
    """Whether a host, a port after it or not, is this machine: a folder of sockets, a loopback address."""
    name = host.removeprefix("[").partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    if not name or name.startswith(("/", "@")) or name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
