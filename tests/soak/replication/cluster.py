"""A primary and standbys that change their roles, each reached over a network that may be disturbed."""

import asyncio
import contextlib
import functools
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import cast

from facerec.local import account, binaries
from facerec.local.postgres import PORT, EmbeddedPostgres, url
from facerec.local.standby import EmbeddedStandby
from tests.fixtures.standbys import Replication, fetch, kill, replicated_by
from tests.soak.service.proxy import FaultProxy, Mode, Opened
from tests.soak.service.stack import Loop

RECEIVED = "SELECT greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())"
# Of so long a path that Postgres' sockets are elsewhere: pg_rewind reads every file of both data folders.
DATA_FOLDER = 100 * "d"
SETTINGS = {
    "wal_retrieve_retry_interval": "'100ms'",  # how soon a standby connects again
    "wal_keep_size": "'256MB'",  # for one that comes back
}


class Link:
    """A network in front of a server: a Unix socket in a folder of its own, which leads to `target`."""

    def __init__(self, loop: Loop, target: EmbeddedPostgres) -> None:
        self._loop = loop
        self.target = target
        self.socket_folder = Path(tempfile.mkdtemp(prefix="facerec-test-"))
        self.socket_folder.chmod(0o755)
        self._proxy = FaultProxy(self._connect)
        socket = self.socket_folder / f".s.PGSQL.{PORT}"
        loop.run(self._proxy.listen(socket))
        socket.chmod(0o777)  # under root Postgres runs as another user

    @property
    def url(self) -> str:
        """The URL of the database behind it."""
        return url(self.socket_folder)

    @property
    def server(self) -> EmbeddedPostgres:
        """In the place of a server to copy and to follow, of which only the socket's folder is read."""
        return cast(EmbeddedPostgres, self)

    def switch(self, mode: Mode) -> None:
        """Change how it behaves from now on."""
        self._loop.run(self._proxy.switch(mode))

    def lead_to(self, target: EmbeddedPostgres) -> None:
        """Lead to another server, and break the connections that there are."""
        self.target = target
        self.switch(Mode.RESET)
        self.switch(Mode.PASS)

    def close(self) -> None:
        """Break all connections, and remove it."""
        self._loop.run(self._proxy.stop())
        shutil.rmtree(self.socket_folder, ignore_errors=True)

    async def _connect(self) -> Opened:
        return await asyncio.open_unix_connection(self.target.socket_folder / f".s.PGSQL.{PORT}")


class Member(EmbeddedStandby):
    """A standby that was a primary."""

    def rewind(self, source: EmbeddedPostgres) -> None:
        """Make its data, which nothing serves, those of a standby of `source`. Raises PostgresFailed."""
        user = account.choose(self._cluster)
        programs = binaries.locate(self._folder, user)
        server = f"host={source.socket_folder} port={PORT} user=postgres dbname=postgres"
        options = (f"--source-server={server}", "--write-recovery-conf", "--no-sync")
        self._run(programs, user, self._cluster, "pg_rewind", "-D", str(self._cluster), *options)


class Cluster(Replication):
    """A replication whose standbys follow the primary over links, and which fails over."""

    def __init__(self, loop: Loop, folder: Path) -> None:
        (folder / DATA_FOLDER).mkdir()
        super().__init__(folder / DATA_FOLDER)
        self.links: list[Link] = []
        self._loop = loop
        self._former = self.primary
        self._free: Link | None = None
        asyncio.run(configure(self.primary, SETTINGS))

    def add(self, upstream: EmbeddedPostgres | None = None) -> EmbeddedStandby:
        """Copy the primary to one more standby, which follows it over a link."""
        self.links.append(Link(self._loop, upstream or self.primary))
        return super().add(self.links[-1].server)

    @contextlib.contextmanager
    def in_front(self, server: EmbeddedPostgres) -> Iterator[Link]:
        """One more link, to a server of it."""
        link = Link(self._loop, server)
        try:
            yield link
        finally:
            link.close()

    def lose_primary(self) -> None:
        """End the primary and its network at once, as the loss of its machine does."""
        kill(self.primary)
        for link in self.links:
            link.switch(Mode.RESET)
        self._former = self.primary

    def promote(self) -> None:
        """Promote the standby that has received most; the others follow it."""
        received = [asyncio.run(fetch(standby, RECEIVED)) for standby in self.standbys]
        best = received.index(max(received))
        self.primary = promoted = self.standbys.pop(best)
        self._free = self.links.pop(best)
        promoted.promote()
        for link in self.links:
            link.lead_to(promoted)

    def rejoin(self) -> None:
        """Have the former primary follow its successor, by pg_rewind."""
        assert self._free is not None
        self._free.lead_to(self.primary)
        member = Member(self._former._folder, self._free.server, _number(self._former))
        member.socket_folder = self._former.socket_folder  # clients have its URL
        member.rewind(self.primary)
        member.start()
        self.standbys.append(member)
        self.links.append(self._free)
        self._free = None

    def stop(self) -> None:
        """End all servers and links, whatever state they are in."""
        super().stop()
        for link in (*self.links, *filter(None, [self._free])):
            link.close()


def _number(server: EmbeddedPostgres) -> int:
    """What tells a server from the others: the first primary is the third."""
    return server._number if isinstance(server, EmbeddedStandby) else 3


async def configure(server: EmbeddedPostgres, settings: dict[str, str]) -> None:
    """Change settings of a running server."""
    for name, value in settings.items():
        await fetch(server, f"ALTER SYSTEM SET {name} = {value}")
    await fetch(server, "SELECT pg_reload_conf()")


@contextlib.contextmanager
def cluster() -> Iterator[Cluster]:
    """A migrated primary with two standbys; all of it goes with the block."""
    loop = Loop()
    try:
        with replicated_by(functools.partial(Cluster, loop), 2) as servers:
            yield servers
    finally:
        loop.stop()
