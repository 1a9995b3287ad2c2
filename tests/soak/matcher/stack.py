"""Matchers over one Postgres whose commits reach the disk; each of them may be killed."""

import contextlib
import shutil
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import psutil

from tests.fixtures.clusters import open_migrated
from tests.fixtures.process import ServiceProcess

MATCHER = "matcher_service"


@contextlib.asynccontextmanager
async def connected(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection of one's own to the database."""
    connection = await asyncpg.connect(database_url)
    try:
        yield connection
    finally:
        await connection.close()


class Replica:
    """A matcher that is restarted at the same address. `module` is run with python -m."""

    def __init__(self, module: str, database_url: str, *flags: str) -> None:
        self._module = module
        self._flags = ("--database-url", database_url, *flags)
        self._server = ServiceProcess(module, *self._flags)
        self.address = self._server.address
        self.wait()

    def wait(self) -> None:
        """Wait until it has found its database."""
        self._server.event("database_ready")

    def kill(self) -> None:
        """End it as kill -9 does."""
        self._server.kill()

    def start(self) -> None:
        """Start it again."""
        self._server = ServiceProcess(self._module, *self._flags, address=self.address)

    def stop(self) -> None:
        """Stop it gracefully."""
        self._server.stop()

    def events(self, name: str) -> list[str]:
        """The lines of its log, since its last start, of one event."""
        return [line for line in tuple(self._server.lines) if f'"event": "{name}"' in line]


class Stack:
    """What is soaked. Open, kill and start it from the main thread: Postgres ends with its parent."""

    def __init__(self, folder: Path, module: str, flags: tuple[str, ...], replicas: int) -> None:
        self.postgres = open_migrated(folder / "data")
        self.replicas: list[Replica] = []
        try:
            self.database_url = self.postgres.url()
            for _ in range(replicas):
                self.replicas.append(Replica(module, self.database_url, *flags))
        except BaseException:
            self.stop()
            raise

    @classmethod
    @contextlib.contextmanager
    def open(cls, *flags: str, module: str = MATCHER, replicas: int = 2) -> Iterator["Stack"]:
        """A stack in a folder of its own, which goes with it."""
        folder = Path(tempfile.mkdtemp(prefix="facerec-soak-"))
        folder.chmod(0o755)  # under root Postgres runs as another user, which must enter it
        try:
            stack = cls(folder, module, flags, replicas)
            try:
                yield stack
            finally:
                stack.stop()
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    @property
    def addresses(self) -> list[str]:
        """The addresses of the replicas, which never change."""
        return [replica.address for replica in self.replicas]

    def events(self, name: str) -> list[str]:
        """The log lines of one event, of all replicas."""
        return [line for replica in self.replicas for line in replica.events(name)]

    def kill_postgres(self) -> None:
        """End every process of it at once, as a crash of the machine's would."""
        postmaster = psutil.Process(self.postgres.child.pid)
        processes = [postmaster, *postmaster.children(recursive=True)]
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGKILL)
        assert self.postgres.child.wait(10)

    def start_postgres(self) -> float:
        """Start it again; returns the time (`time.monotonic`) at which it accepts connections."""
        self.postgres.start()
        return time.monotonic()

    def stop(self) -> None:
        """Stop all gracefully."""
        for replica in self.replicas:
            replica.stop()
        self.postgres.stop()
