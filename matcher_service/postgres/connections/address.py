"""Parses a database URL, and connects to the primary among its servers.

The URL has libpq's syntax, as hosted services provide it. Parameters that the driver does not support are
translated, ignored if they only tune libpq, or refused in one line. No message quotes the URL, as it has the
password.
"""

import asyncio
import dataclasses
import functools
import os
import re
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import unquote

import asyncpg

from facerec.serving.server.errors import StartError
from matcher_service.postgres.connections.servers import first_connected, split_servers

Accept: TypeAlias = Callable[[asyncpg.Connection], Awaitable[bool]]

SCHEMES = ("postgresql", "postgres")
_LOGIN = re.compile(r"(?:[^\s%\[\]]|%[0-9A-Fa-f]{2})*")
_HOST = re.compile(r"(?:\[[0-9A-Za-z:.%]+\]|(?:[\w.~-]|%[0-9A-Fa-f]{2})+)(?::\d{0,5})?")

_DRIVER = frozenset({  # the driver handles these as libpq does
    "host", "port", "dbname", "user", "password", "passfile", "service", "sslmode", "sslcert", "sslkey",
    "sslrootcert", "sslcrl", "sslpassword", "sslnegotiation", "ssl_min_protocol_version",
    "ssl_max_protocol_version", "target_session_attrs", "krbsrvname", "gsslib", "application_name", "options",
})  # fmt: skip
_TUNING = frozenset({  # of libpq's sockets; the service has timeouts of its own
    "keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout",
    "sslcompression", "sslsni", "fallback_application_name", "load_balance_hosts",
})  # fmt: skip
_PREFERENCES = {  # values that have no effect, so that the parameter can be left out
    "channel_binding": ("disable", "prefer"),
    "gssencmode": ("disable", "prefer"),
    "client_encoding": ("auto", "utf8", "utf-8"),
}
_HINTS = {
    "channel_binding": "the driver does not support channel binding: leave it out, and verify the server "
    "with sslmode=verify-full",
    "pgbouncer": "leave it out: whether a pooler is between is found out (docs/operations.md, PgBouncer)",
    "endpoint": "write it as options=endpoint%3DID",
}
IGNORED = (
    "role", "jit", "lock_timeout", "statement_timeout", "max_parallel_workers_per_gather",
    "default_transaction_isolation",
)  # fmt: skip
_FILES = ("sslrootcert", "sslcert", "sslkey", "sslcrl")


class UrlInvalid(StartError):
    """The database URL cannot be used; the message says what to change and does not quote the URL."""


class NoPrimary(ConnectionError):
    """Every server of the URL that answers is a standby."""


class StartRefused(StartError):
    """A pooler refuses the parameters that a connection starts with; the message says what to set there."""


@dataclasses.dataclass(frozen=True)
class Address:
    """A URL in the driver's form.

    `servers` has a URL for each host. `connect_seconds` is None without a `connect_timeout`; `trust` is None
    if the URL has all TLS settings.
    """

    servers: Sequence[str] = dataclasses.field(repr=False)
    connect_seconds: float | None = None
    trust: ssl.SSLContext | None = None
    names_application: bool = False
    names_target: bool = False


def read_address(url: str) -> Address:
    """Read a URL. Raises UrlInvalid."""
    scheme, found, rest = url.partition("://")
    if not found or scheme not in SCHEMES:
        raise UrlInvalid("the database's URL must be postgresql://USER:PASSWORD@HOST:PORT/DATABASE")
    location, _, query = rest.partition("?")
    authority, _, database = location.partition("/")
    login, at, hosts = authority.rpartition("@")
    if not (
        _LOGIN.fullmatch(login)
        and "@" not in login + database + query
        and "#" not in rest
        and all(_is_host(host) for host in hosts.split(",") if hosts)
    ):
        raise UrlInvalid(
            "the database's URL cannot be parsed as postgresql://USER:PASSWORD@HOST:PORT/DATABASE: in "
            "USER, PASSWORD and parameters write @ as %40, : as %3A, / as %2F, ? as %3F, # as %23, % as %25, "
            "[ as %5B and ] as %5D, and no blank"
        )
    parameters = _read_parameters(query)
    _check_ports(parameters)
    seconds = _take_seconds(parameters)
    trust = _take_trust(parameters)
    _check_files(parameters)
    servers = [
        f"postgresql://{login}{at}{host}/{database}{_query(each)}"
        for host, each in split_servers(hosts, parameters)
    ]
    return Address(
        servers, seconds, trust, "application_name" in parameters, "target_session_attrs" in parameters
    )


def _query(parameters: Mapping[str, str]) -> str:
    # The driver reads a plus as a space, which libpq does not.
    query = "&".join(f"{name}={value.replace('+', '%2B')}" for name, value in parameters.items())
    return f"?{query}" if query else ""


async def connect(
    url: str, *, seconds: float, any_server: bool = False, accept: Accept | None = None, **arguments: Any
) -> asyncpg.Connection:
    """Connect within `seconds`, or the URL's `connect_timeout`; `arguments` are asyncpg's.

    Connects to a primary, unless the URL or PGTARGETSESSIONATTRS says otherwise, so that no connection stays
    on a standby after a failover; with `any_server` to a standby too. A server that `accept` refuses is
    passed over. Raises UrlInvalid, NoPrimary, StartRefused, and what asyncpg raises.
    """
    address = read_address(url)
    settings = dict(arguments.pop("server_settings", None) or {})
    if address.names_application:
        settings.pop("application_name", None)
    if address.trust is not None:
        arguments["ssl"] = address.trust
    if any_server:
        arguments["target_session_attrs"] = "any"
    elif not address.names_target and not os.environ.get("PGTARGETSESSIONATTRS"):
        arguments["target_session_attrs"] = "primary"
    limit = address.connect_seconds or seconds

    async def attempt(server_url: str) -> asyncpg.Connection:
        connection: asyncpg.Connection = await asyncpg.connect(
            server_url, timeout=limit, server_settings=settings, **arguments
        )
        try:
            if accept is None or await accept(connection):
                return connection
        except BaseException:
            connection.terminate()
            raise
        connection.terminate()
        raise asyncpg.TargetServerAttributeNotMatched

    try:
        async with asyncio.timeout(limit):
            return await first_connected([functools.partial(attempt, each) for each in address.servers])
    except asyncpg.TargetServerAttributeNotMatched:
        raise NoPrimary("the URL leads to no primary: every server of it that answers is a standby") from None
    except asyncpg.ProtocolViolationError as error:
        raise StartRefused(
            f"{why_not_connected(error)}; let PgBouncer have ignore_startup_parameters = {','.join(IGNORED)} "
            "(docs/operations.md, PgBouncer)"
        ) from None


def why_not_connected(error: BaseException) -> str:
    """Describe an error of `connect` in one line, with the server's message and without a password."""
    if isinstance(error, StartError):
        return str(error)
    words = " ".join(str(error).split())
    return f"cannot connect to the database: {words or type(error).__name__}"


def why_failed(error: BaseException) -> str:
    """Describe an error of using the database: its message if it is of connecting, else only its type.

    The message of a statement's error may quote its arguments.
    """
    connecting = isinstance(error, StartError | OSError | asyncpg.InvalidAuthorizationSpecificationError)
    return why_not_connected(error) if connecting else type(error).__name__


def _is_host(host: str) -> bool:
    port = host.rpartition(":")[2] if not host.endswith("]") and ":" in host else ""
    return _HOST.fullmatch(host) is not None and int(port or 1) in range(1, 65536)


def _read_parameters(query: str) -> dict[str, str]:
    """The query's parameters as written, the last of each name, without those that have no effect."""
    parameters = {}
    for part in filter(None, query.split("&")):
        name, found, value = part.partition("=")
        if not found:
            raise UrlInvalid("what follows ? in the database's URL must be NAME=VALUE, joined by &")
        if name == "ssl" and value.lower() == "true":  # JDBC's form, which libpq accepts too
            name, value = "sslmode", "require"
        if value and not _is_without_effect(name, unquote(value)):
            _check_known(name)
            parameters[name] = value
    return parameters


def _is_without_effect(name: str, value: str) -> bool:
    return name in _TUNING or value.lower() in _PREFERENCES.get(name, ())


def _check_known(name: str) -> None:
    if name in _DRIVER or name == "connect_timeout":
        return
    hint = _HINTS.get(name, "leave it out, or write a setting of the server's as options=-c%20NAME%3DVALUE")
    shown = name if re.fullmatch(r"[A-Za-z_.]{1,40}", name) else "of that name"
    raise UrlInvalid(f"the database's URL has a parameter {shown} that is not supported: {hint}")


def _check_ports(parameters: Mapping[str, str]) -> None:
    port = parameters.get("port", "")
    hosts = unquote(parameters.get("host", "")).count(",") + 1
    if not re.fullmatch(r"[\d,]*", port) or ("host" in parameters and port.count(",") + 1 not in (1, hosts)):
        raise UrlInvalid(
            "port in the database's URL must be a number, or one for each host, joined by commas"
        )


def _take_seconds(parameters: dict[str, str]) -> float | None:
    text = parameters.pop("connect_timeout", "0")
    if not text.isdecimal():
        raise UrlInvalid("connect_timeout in the database's URL must be whole seconds, 0 for the default")
    return float(text) or None


def _take_trust(parameters: dict[str, str]) -> ssl.SSLContext | None:
    """A context with the system's CAs for sslrootcert=system, which also verifies the host name, as libpq
    does.
    """
    if parameters.get("sslrootcert") != "system":
        return None
    mode = parameters.pop("sslmode", "verify-full")
    if mode != "verify-full":
        raise UrlInvalid("sslrootcert=system in the database's URL requires sslmode=verify-full")
    del parameters["sslrootcert"]
    _check_files(parameters)
    context = ssl.create_default_context()
    if certificate := parameters.pop("sslcert", None):
        key = parameters.pop("sslkey", certificate)
        password = unquote(parameters.pop("sslpassword", ""))
        context.load_cert_chain(unquote(certificate), unquote(key), password=lambda: password)
    return context


def _check_files(parameters: Mapping[str, str]) -> None:
    for name in _FILES:
        if name in parameters and not Path(unquote(parameters[name])).is_file():
            raise UrlInvalid(f"{name} in the database's URL: there is no file {unquote(parameters[name])}")
    # The driver's own message would name a file in the home directory of the service's user.
    if parameters.get("sslmode") in ("verify-full", "verify-ca") and not (
        "sslrootcert" in parameters
        or os.environ.get("PGSSLROOTCERT")
        or (Path.home() / ".postgresql" / "root.crt").is_file()
    ):
        raise UrlInvalid(
            f"sslmode={parameters['sslmode']} in the database's URL requires sslrootcert=FILE, the CA of the "
            "server's certificate, or sslrootcert=system for those that the system trusts"
        )
