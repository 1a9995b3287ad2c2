"""A matcher is ready while its database answers; health, /readyz and the metric agree."""

import asyncio
import dataclasses
import re
import signal
import tempfile
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import parse_qsl

import asyncpg
import grpc.aio
import pytest
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc

from facerec.client import AsyncCollectionClient, AsyncMatcherClient, Encoding
from facerec.errors import FacerecError
from facerec.local.postgres import EmbeddedPostgres
from facerec.matcher.v1 import matcher_pb2 as pb
from matcher_service import metrics, readiness
from matcher_service.service import COLLECTIONS, MATCHER
from tests.e2e.matcher.requests import SPACE, encoding, enroll, vectors
from tests.e2e.matcher.transfers import LOCKED, connections
from tests.fixtures.clusters import open_migrated
from tests.fixtures.matcher import NOWHERE, RunningMatcher, StartMatcher
from tests.fixtures.waiting import LIMIT_SECONDS, until
from tests.soak.service.proxy import FaultProxy, Mode

ADMIN = {"admin_address": "127.0.0.1:0"}
PROBE = encoding(vectors(1)[0])
CLAIM = pb.VerifyRequest(person_id="ann", probe=PROBE)
READY = (200, 1.0, {"": "SERVING", MATCHER: "SERVING", COLLECTIONS: "SERVING"})
UNREADY = (503, 0.0, {"": "NOT_SERVING", MATCHER: "NOT_SERVING", COLLECTIONS: "NOT_SERVING"})


def read(matcher: RunningMatcher, path: str) -> tuple[int, str]:
    try:
        url = f"http://{matcher.service.server.admin_address}{path}"
        with urllib.request.urlopen(url, timeout=LIMIT_SECONDS) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


async def shown(matcher: RunningMatcher) -> tuple[int, float, dict[str, str]]:
    """What /readyz, the metric and gRPC health say."""
    status, _ = await asyncio.to_thread(read, matcher, "/readyz")
    _, text = await asyncio.to_thread(read, matcher, "/metrics")
    (gauge,) = re.findall(r"^facerec_matcher_database_ready (\S+)$", text, re.MULTILINE)
    return status, float(gauge), await health(matcher)


async def health(matcher: RunningMatcher) -> dict[str, str]:
    async with grpc.aio.insecure_channel(matcher.address) as channel:
        check = health_pb2_grpc.HealthStub(channel).Check  # type: ignore[attr-defined]
        answers = {name: await check(health_pb2.HealthCheckRequest(service=name)) for name in UNREADY[2]}
    return {
        name: health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)
        for name, answer in answers.items()
    }


async def until_shown(matcher: RunningMatcher, wanted: tuple[int, float, dict[str, str]]) -> None:
    async def is_shown() -> bool:
        return await shown(matcher) == wanted

    await until(is_shown)


@pytest.fixture
def own_postgres() -> Iterator[EmbeddedPostgres]:
    """A migrated Postgres that the test may kill or freeze."""
    with tempfile.TemporaryDirectory(prefix="facerec-test-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        with open_migrated(Path(folder) / "data") as server:
            yield server


async def test_a_matcher_is_unready_while_its_database_is_down(
    own_postgres: EmbeddedPostgres, start_matcher: StartMatcher
) -> None:
    matcher = await start_matcher(own_postgres.url(), **ADMIN)
    await until_shown(matcher, READY)
    own_postgres.child.send(signal.SIGKILL)
    await asyncio.to_thread(own_postgres.child.wait, LIMIT_SECONDS)
    await until_shown(matcher, UNREADY)
    assert (await asyncio.to_thread(read, matcher, "/livez"))[0] == 200  # so it is not restarted
    await check_reported(matcher, own_postgres.url())
    own_postgres.start()
    await until_shown(matcher, READY)
    async with AsyncCollectionClient(matcher.address) as client:
        ready = await client.get_status()
    assert (ready.serving, ready.database.ready, ready.database.problem) == (True, True, "")


async def check_reported(matcher: RunningMatcher, url: str) -> None:
    """The matcher, without database and encoder, tells so, and names no address of them."""
    async with AsyncCollectionClient(matcher.address) as client:  # it calls unready replicas for this alone
        reported = await client.get_status()
    assert (reported.serving, reported.database.ready, reported.encoder.reachable) == (False, False, False)
    assert reported.database.problem and reported.encoder.problem
    assert reported.database.schema_version == reported.database.release_schema_version  # as it was last read
    for address in (url, "postgres@", "/data", NOWHERE, "127.0.0.1"):
        assert address not in repr(reported)


@dataclasses.dataclass(frozen=True)
class Way:
    """A way to the test's database that can be broken, and the URL that takes it."""

    proxy: FaultProxy
    url: str


@pytest.fixture
async def way(database_url: str) -> AsyncIterator[Way]:
    path, _, query = database_url.partition("?")
    socket = Path(dict(parse_qsl(query))["host"]) / ".s.PGSQL.5432"
    proxy = FaultProxy(lambda: asyncio.open_unix_connection(str(socket)))
    port = await proxy.start()
    yield Way(proxy, f"postgresql://postgres@127.0.0.1:{port}/{path.rpartition('/')[2]}")
    await proxy.stop()


@pytest.mark.parametrize("fault", [Mode.RESET, Mode.BLACK_HOLE])
async def test_a_replica_that_alone_lost_the_database_gets_no_more_calls(
    start_matcher: StartMatcher, database_url: str, way: Way, fault: Mode
) -> None:
    cut = await start_matcher(way.url, **ADMIN)
    well = await start_matcher(database_url)
    await well.stub.Enroll(enroll("ann", PROBE))
    vector = Encoding(vectors(1)[0], SPACE, "")
    async with AsyncMatcherClient(f"ipv4:{cut.address},{well.address}") as client:
        quick = client.with_options(timeout_seconds=2)
        await quick.verify("ann", vector)
        await way.proxy.switch(fault)

        async def answers() -> bool:
            """Whether of ten calls none went to the replica that cannot answer."""
            try:
                return all([(await quick.verify("ann", vector)).match for _ in range(10)])
            except FacerecError:
                return False

        await until(answers)
        assert "NOT_SERVING" in (await health(cut)).values()
        await way.proxy.switch(Mode.PASS)
        await until_shown(cut, READY)
        assert (await cut.stub.Verify(CLAIM)).match


async def test_a_matcher_whose_connections_are_all_in_use_stays_ready(
    start_matcher: StartMatcher, database_url: str, administrator: asyncpg.Connection
) -> None:
    waiting = {"lock_timeout_seconds": 60, "statement_timeout_seconds": 60}
    matcher = await start_matcher(database_url, pool_max_size=1, **waiting, **ADMIN)
    await matcher.stub.Enroll(enroll("ann", PROBE))
    async with administrator.transaction():
        await administrator.execute("LOCK TABLE facerec.face")
        held = asyncio.ensure_future(matcher.stub.Verify(CLAIM))

        async def full() -> bool:
            return await connections(database_url, LOCKED) == 1

        await until(full)
        before = await looked(database_url)

        async def looked_again() -> bool:
            return await looked(database_url) != before

        await until(looked_again)
        assert await shown(matcher) == READY
    assert (await held).match


async def looked(database_url: str) -> object:
    """When the database was last looked at."""
    connection = await asyncpg.connect(database_url)
    try:
        return await connection.fetchval(
            "SELECT max(query_start) FROM pg_stat_activity"
            " WHERE datname = current_database() AND query LIKE '%facerec.schema_migration%'"
            " AND application_name = 'facerec-matcher'"
        )
    finally:
        await connection.close()


async def test_an_unreadable_maintenance_table_makes_no_matcher_unready(
    start_matcher: StartMatcher,
    database_url: str,
    administrator: asyncpg.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(readiness, "SUMMARY_SECONDS", 0.1)
    monkeypatch.setattr(metrics.MAINTENANCE, "_steps", ())  # another matcher's, in this process
    await administrator.execute("ALTER TABLE facerec.maintenance RENAME TO elsewhere")
    with structlog.testing.capture_logs() as log:
        matcher = await start_matcher(database_url, **ADMIN)
        await until(lambda: "maintenance_summary_read_failed" in [line["event"] for line in log])
    assert await shown(matcher) == READY
    assert "last_success_timestamp_seconds{" not in read(matcher, "/metrics")[1]
    await administrator.execute("ALTER TABLE facerec.elsewhere RENAME TO maintenance")

    async def reported() -> bool:
        text = (await asyncio.to_thread(read, matcher, "/metrics"))[1]
        return 'facerec_maintenance_last_success_timestamp_seconds{step="erase"} 0.0' in text

    await until(reported)
    assert await shown(matcher) == READY
