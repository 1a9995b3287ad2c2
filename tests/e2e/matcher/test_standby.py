"""A database's name that leads to a standby: refused while it is one, and used once it is promoted."""

import asyncio
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import grpc.aio
import pytest

from facerec.errors import Reason
from facerec.local.postgres import EmbeddedPostgres
from facerec.matcher.v1 import matcher_pb2 as pb
from facerec.serving.server.errors import StartError
from matcher_service.diagnostics.doctor import examine
from matcher_service.postgres import migrations
from matcher_service.settings import MatcherSettings
from tests.e2e.matcher.requests import encoding, enroll, refused, vectors
from tests.fixtures.matcher import StartMatcher
from tests.fixtures.waiting import LIMIT_SECONDS

NO_PRIMARY = "leads to no primary"


@contextmanager
def standby() -> Iterator[str]:
    """A migrated server that was started again as a standby; it ends with this."""
    with tempfile.TemporaryDirectory(prefix="facerec-test-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with EmbeddedPostgres.open(folder / "data") as server:
            url = server.url().replace("&target_session_attrs=any", "")
            asyncio.run(migrations.migrate(url))
            asyncio.run(_make_standby(url))
        done = threading.Event()
        # It counts as started once it is promoted, so that another thread waits for that.
        serving = threading.Thread(target=_serve, args=(folder / "data", done))
        serving.start()
        try:
            asyncio.run(_reached(url))
            yield url
        finally:
            asyncio.run(_promote(url))
            done.set()
            serving.join(LIMIT_SECONDS)


def _serve(folder: Path, done: threading.Event) -> None:
    with EmbeddedPostgres.open(folder):
        done.wait()


async def _make_standby(url: str) -> None:
    connection = await asyncpg.connect(url)
    data_dir = Path(await connection.fetchval("SHOW data_directory"))
    await connection.execute(f"COPY (SELECT 1 WHERE false) TO '{data_dir / 'standby.signal'}'")
    await connection.close()


async def _reached(url: str) -> None:
    async with asyncio.timeout(LIMIT_SECONDS):
        while True:
            try:
                connection = await asyncpg.connect(url)
            except (OSError, asyncpg.PostgresError):
                await asyncio.sleep(0.05)
            else:
                assert await connection.fetchval("SELECT pg_is_in_recovery()")
                await connection.close()
                return


async def _promote(url: str) -> None:
    connection = await asyncpg.connect(url)
    if await connection.fetchval("SELECT pg_is_in_recovery()"):
        assert await connection.fetchval("SELECT pg_promote()")
    await connection.close()


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with standby() as url:
        yield url


async def test_a_standby_is_refused_and_used_once_it_is_the_primary(
    start_matcher: StartMatcher, url: str
) -> None:
    matcher = await start_matcher(url)
    face = encoding(vectors(1)[0])
    with refused(Reason.STORE_UNAVAILABLE):
        await matcher.stub.ListPersons(pb.ListPersonsRequest())
    with pytest.raises(StartError, match=NO_PRIMARY):
        await migrations.migrate(url)
    settings = MatcherSettings.model_validate({"database_url": url, "encoder_address": "127.0.0.1:1"})
    (found,) = [each async for each in examine(settings) if each.subject == "database"]
    assert (found.state, NO_PRIMARY in found.text) == ("fail", True)
    await _promote(url)
    async with asyncio.timeout(LIMIT_SECONDS):
        while True:
            try:
                await matcher.stub.Enroll(enroll("ann", face))
                return
            except grpc.aio.AioRpcError:
                await asyncio.sleep(0.1)
