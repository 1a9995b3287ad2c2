"""An embedded standby follows its primary, survives restarts of either, and takes over when promoted."""

import signal
from collections.abc import Iterator

import asyncpg
import pytest

from facerec.local.standby import EmbeddedStandby
from tests.fixtures.standbys import Replication, fetch, kill, processes, replicated


@pytest.fixture
def replication() -> Iterator[Replication]:
    with replicated() as servers:
        yield servers


async def write(server_url: str, value: str) -> None:
    connection = await asyncpg.connect(server_url)
    try:
        await connection.execute("CREATE TABLE IF NOT EXISTS kept (value text)")
        await connection.execute("INSERT INTO kept VALUES ($1)", value)
    finally:
        await connection.close()


KEPT = "SELECT array_agg(value ORDER BY value) FROM kept"


async def test_a_standby_follows_its_primary_through_restarts_of_either(replication: Replication) -> None:
    primary, [standby] = replication.primary, replication.standbys
    await write(primary.url(), "a")
    await replication.caught_up(standby)
    assert await fetch(standby, "SELECT pg_is_in_recovery()")
    kill(standby)
    await write(primary.url(), "b")
    standby.start()
    await replication.caught_up(standby)
    assert await fetch(standby, KEPT) == ["a", "b"]
    kill(primary)
    primary.start()
    await write(primary.url(), "c")
    await replication.caught_up(standby)
    assert await fetch(standby, KEPT) == ["a", "b", "c"]
    with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
        await write(standby.url(), "d")


async def test_a_promoted_standby_accepts_writes_and_is_followed_by_another(
    replication: Replication,
) -> None:
    primary, [standby] = replication.primary, replication.standbys
    other = replication.add()
    await write(primary.url(), "a")
    await replication.caught_up(standby)
    await replication.caught_up(other)
    kill(primary)
    standby.promote()
    await write(standby.url(), "b")
    kill(other)
    other.follow(standby)
    other.start()
    await replication.caught_up(other, standby)
    assert await fetch(other, KEPT) == ["a", "b"]
    kill(standby)
    standby.start()
    assert await fetch(standby, KEPT) == ["a", "b"]


def test_a_copy_replaces_what_its_folder_held(replication: Replication) -> None:
    [standby] = replication.standbys
    running = processes(standby)
    folder = standby.socket_folder.parent
    standby.stop()
    assert not any(process.is_running() for process in running[:1])
    (folder / "postgres" / "leftover").write_text("of an earlier copy")
    with EmbeddedStandby.copy(folder, replication.primary) as again:
        again.child.send(signal.SIGHUP)
        assert not (folder / "postgres" / "leftover").exists()
