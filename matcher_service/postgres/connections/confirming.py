"""Notices commits that the standbys of synchronous replication have not confirmed."""

import contextlib
from collections.abc import Iterator

import asyncpg

from matcher_service.domain.errors import NotReplicated
from matcher_service.postgres.session import Connection

_WAITING = "SyncRepWaitForLSN"  # the server's function that waits for standbys; messages are in any language


@contextlib.contextmanager
def confirmed(connection: Connection) -> Iterator[None]:
    """Raises NotReplicated at the end of a block that committed something which no standby has confirmed.

    A server whose wait for its standbys is cancelled, as by pg_cancel_backend, commits all the same and only
    warns: the commit would be lost with the server.
    """
    missed = False

    def listen(_: Connection, message: asyncpg.PostgresLogMessage) -> None:
        nonlocal missed
        missed = missed or getattr(message, "server_source_function", None) == _WAITING

    connection.add_log_listener(listen)
    try:
        yield
    finally:
        with contextlib.suppress(asyncpg.InterfaceError):  # the connection is closed
            connection.remove_log_listener(listen)
    if missed:
        raise NotReplicated
