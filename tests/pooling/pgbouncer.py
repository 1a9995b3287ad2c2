"""A real PgBouncer between a test and the test's Postgres."""

import asyncio
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from urllib.parse import parse_qs, urlsplit, urlunsplit

from facerec.local import account
from matcher_service.postgres.connections.address import IGNORED
from tests.fixtures.programs import run
from tests.fixtures.waiting import LIMIT_SECONDS, wait_until

PORT: Final = "6432"  # only part of the socket's name; nothing listens on TCP
FOLLOWS_STATEMENTS: Final = (1, 21)  # the first version that prepares statements where a transaction runs

LOGIN: Final = "facerec_pooled"
SETTINGS: Final = {  # of the login's role: what a pooler ignores
    "role": "facerec_serve",
    "search_path": "public",
    "jit": "off",
    "default_transaction_isolation": "'read committed'",  # the server's default, too
    "max_parallel_workers_per_gather": "0",
    "lock_timeout": "'3s'",
    "statement_timeout": "'30s'",
}


def program() -> str | None:
    """The PgBouncer to run: PGBOUNCER, or the one on the path, where Debian has it in /usr/sbin."""
    return os.environ.get("PGBOUNCER") or shutil.which(
        "pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin"
    )


def version() -> tuple[int, int]:
    """The version of that program."""
    shown = subprocess.run([program() or "", "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"PgBouncer (\d+)\.(\d+)", shown)
    assert found is not None, shown
    return int(found[1]), int(found[2])


class PgBouncer:
    """A PgBouncer before the server of `database_url`, with these settings, listening on a Unix socket."""

    def __init__(self, database_url: str, *logins: str, **settings: object) -> None:
        self._server = parse_qs(urlsplit(database_url).query)["host"][0]
        self._folder = Path(tempfile.mkdtemp(prefix="facerec-test-"))
        (self._folder / "users").write_text("".join(f'"{login}" ""\n' for login in logins))
        chosen = {
            "auth_type": "trust",
            "admin_users": "postgres",
            "auth_file": self._folder / "users",
            "unix_socket_dir": self._folder,
            "listen_port": PORT,
            "ignore_startup_parameters": ",".join(IGNORED),
        }
        lines = [f"{name} = {value}" for name, value in (chosen | settings).items()]
        config = self._folder / "pgbouncer.ini"
        server = f"* = host={self._server}\n"
        config.write_text("\n".join(["[databases]", server, "[pgbouncer]", *lines, ""]))
        self._process = subprocess.Popen(
            [program() or "", "--quiet", *self._user(), config], stderr=subprocess.PIPE, text=True
        )

    def url(self, database_url: str, login: str) -> str:
        """The address of a database of the server, through this PgBouncer."""
        parts = urlsplit(database_url)
        return urlunsplit(parts._replace(netloc=f"{login}@", query=self._query, scheme="postgresql"))

    async def reconnect(self) -> None:
        """Have it open sessions of the server again, as soon as those that are open are not in use."""
        await asyncio.to_thread(
            run, "psql", "--quiet", "--command=RECONNECT", f"postgresql://postgres@/pgbouncer?{self._query}"
        )

    @property
    def _query(self) -> str:
        return f"host={self._folder}&port={PORT}"

    def _user(self) -> tuple[str, ...]:
        """PgBouncer does not run as root: then as the owner of Postgres' socket, which nobody else enters."""
        owner = account.choose(Path(self._server))
        if owner is None:
            return ()
        for path in (self._folder, *self._folder.iterdir()):
            os.chown(path, owner.uid, owner.gid)
        return ("--user", Path(self._server).owner())

    def __enter__(self) -> Self:
        socket = self._folder / f".s.PGSQL.{PORT}"
        wait_until(lambda: socket.exists() or self._process.poll() is not None)
        assert self._process.poll() is None, self._process.stderr and self._process.stderr.read()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        ended = self._process.poll()
        self._process.kill()
        _, messages = self._process.communicate(timeout=LIMIT_SECONDS)
        shutil.rmtree(self._folder)
        assert ended is None, f"PgBouncer ended by itself with {ended}: {messages}"
