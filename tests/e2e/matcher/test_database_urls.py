"""A database's URL in the forms of hosted services, and a password that changes under a running matcher."""

import asyncio
import functools
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import asyncpg
import grpc.aio
import pytest
import structlog.testing
from structlog.typing import EventDict

from facerec.client.failures import from_rpc_error
from facerec.errors import Reason
from facerec.local.postgres import EmbeddedPostgres
from facerec.matcher.v1 import matcher_pb2 as pb
from matcher_service.diagnostics.doctor import examine
from matcher_service.maintenance import runner
from matcher_service.maintenance.runner import MaintenanceOptions
from matcher_service.postgres import migrations
from matcher_service.postgres.connections import address
from matcher_service.settings import MatcherSettings
from tests.e2e.matcher.requests import refused
from tests.e2e.matcher.test_server_language import Translator
from tests.fixtures.matcher import RunningMatcher, StartMatcher
from tests.fixtures.waiting import LIMIT_SECONDS, wait_until

TRANSIENT = (Reason.STORE_UNAVAILABLE, Reason.OVERLOADED)
QUERIES = [
    "?",
    "?connect_timeout=9&application_name=of+ours&keepalives=1&channel_binding=prefer",
    "?options=-c%20work_mem%3D8MB&target_session_attrs=read-write&client_encoding=UTF8",
    "?sslmode=disable&gssencmode=disable&",
    "?sslmode=prefer&sslsni=1",
]


@pytest.mark.parametrize("query", QUERIES)
async def test_url_forms_of_hosted_services_connect(database_url: str, query: str) -> None:
    translator = Translator(database_url)
    async with translator.serve():
        parts = urlsplit(translator.url)
        for scheme in ("postgres", "postgresql"):
            for hosts in (parts.netloc, parts.netloc.replace("@", "@127.0.0.1:1,")):  # nothing listens on 1
                url = f"{scheme}://{hosts}{parts.path}{query}"
                connection = await address.connect(url, seconds=10)
                assert await connection.fetchval("SELECT current_database()") == parts.path[1:]
                await connection.close()


async def test_parameters_reach_the_server_and_its_sockets_may_be_named_in_each_way(
    database_url: str,
) -> None:
    query = parse_qs(urlsplit(database_url).query)
    folder, port = query["host"][0], query["port"][0]
    name = urlsplit(database_url).path
    for url in (
        f"postgresql://postgres@{folder.replace('/', '%2F')}:{port}{name}?application_name=a+b",
        f"postgresql://{name}?host={folder}&port={port}&user=postgres&application_name=a+b",
    ):
        connection = await address.connect(url, seconds=10)
        assert await connection.fetchval("SHOW application_name") == "a+b"
        await connection.close()


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedPostgres]:
    """A migrated server that asks the login `rotated` for its password, which is `one`."""
    with tempfile.TemporaryDirectory(prefix="facerec-test-") as folder:
        Path(folder).chmod(0o755)
        with EmbeddedPostgres.open(Path(folder) / "data") as server:
            asyncio.run(_prepare(server.url()))
            yield server


async def _prepare(url: str) -> None:
    await migrations.migrate(url)
    connection = await asyncpg.connect(url)
    await asyncio.to_thread(_ask_for_password, Path(await connection.fetchval("SHOW hba_file")))
    await connection.execute("CREATE ROLE rotated LOGIN IN ROLE facerec_serve, facerec_owner")
    await connection.execute("SELECT pg_reload_conf()")
    await connection.close()


def _ask_for_password(rules: Path) -> None:
    rules.write_text("local all rotated scram-sha-256\n" + rules.read_text())


@pytest.fixture
async def superuser(server: EmbeddedPostgres) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(server.url())
    await connection.execute("ALTER ROLE rotated PASSWORD 'one'")
    yield connection
    await connection.close()


@pytest.fixture
def file(server: EmbeddedPostgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> "UrlFile":
    """A file of the URL, which the environment names."""
    file = UrlFile(tmp_path / "url", server.url())
    file.write("one")
    monkeypatch.setenv("MATCHER_DATABASE_URL_FILE", str(file.path))
    return file


class UrlFile:
    """A file that is replaced as a mounted secret is: by another one under its name."""

    def __init__(self, path: Path, url: str) -> None:
        self.path = path
        self._url = url

    def url(self, password: str) -> str:
        """The URL with a password."""
        return self._url.replace("postgres@", f"rotated:{password}@")

    def write(self, password: str) -> None:
        """Let it hold this password."""
        new = self.path.with_suffix(".new")
        new.write_text(self.url(password) + "\n")
        new.replace(self.path)


async def answered(matcher: RunningMatcher) -> None:
    """Ask until the database answers."""
    async with asyncio.timeout(LIMIT_SECONDS):
        while True:
            try:
                await matcher.stub.ListPersons(pb.ListPersonsRequest())
                return
            except grpc.aio.AioRpcError as error:
                assert from_rpc_error(error, "the matcher").reason in TRANSIENT
                await asyncio.sleep(0.1)


HANG_UP = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'rotated'"
PIDS = "SELECT array_agg(pid) FROM pg_stat_activity WHERE usename = 'rotated'"


async def test_a_password_changed_in_the_database_and_its_file_is_used(
    start_matcher: StartMatcher, superuser: asyncpg.Connection, file: UrlFile
) -> None:
    matcher = await start_matcher(file.url("one"))
    await answered(matcher)
    await superuser.execute("ALTER ROLE rotated PASSWORD 'two'")
    await superuser.execute(HANG_UP)
    with refused(Reason.STORE_UNAVAILABLE):
        for _ in range(50):
            await matcher.stub.ListPersons(pb.ListPersonsRequest())
    file.write("two")
    await answered(matcher)


async def test_connections_of_the_previous_url_are_replaced_while_still_open(
    start_matcher: StartMatcher, superuser: asyncpg.Connection, file: UrlFile
) -> None:
    matcher = await start_matcher(file.url("one"))
    await answered(matcher)
    before = set(await superuser.fetchval(PIDS))
    await superuser.execute("ALTER ROLE rotated PASSWORD 'two'")
    file.write("two")
    async with asyncio.timeout(LIMIT_SECONDS):
        while before & set(await superuser.fetchval(PIDS) or ()):
            await matcher.stub.ListPersons(pb.ListPersonsRequest())  # no call fails meanwhile
            await asyncio.sleep(0.1)


async def test_an_invalid_url_file_is_logged_without_the_url_and_the_old_url_stays(
    start_matcher: StartMatcher, superuser: asyncpg.Connection, file: UrlFile
) -> None:
    matcher = await start_matcher(file.url("one"))
    await answered(matcher)
    with structlog.testing.capture_logs() as log:
        file.write("s3cr3t/@")
        await superuser.execute(HANG_UP)
        await answered(matcher)
    lines = [line for line in log if line["event"] == "database_url_reload_failed"]
    assert len(lines) == 1
    assert "%2F" in lines[0]["why"]
    assert "s3cr3t" not in str(log)


async def test_maintain_reloads_the_url_file_too(superuser: asyncpg.Connection, file: UrlFile) -> None:
    options = MaintenanceOptions(file.url("one"), url_file=file.path, interval_seconds=0.05)
    with structlog.testing.capture_logs() as log:
        work = asyncio.create_task(runner.run(options))
        await maintained(superuser)
        await superuser.execute("ALTER ROLE rotated PASSWORD 'two'")
        failed = functools.partial(_logged, log, "maintenance_failed")
        await asyncio.to_thread(wait_until, failed)
        file.write("two")
        await maintained(superuser)
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)


def _logged(log: list[EventDict], event: str) -> bool:
    return any(line["event"] == event for line in tuple(log))


async def maintained(superuser: asyncpg.Connection) -> None:
    """Wait until a run is under way."""
    async with asyncio.timeout(LIMIT_SECONDS):
        while True:
            if await superuser.fetchval(PIDS):
                return
            await asyncio.sleep(0.001)


@pytest.mark.parametrize("parameter", ["sslmode=sometimes", "pgbouncer=true", "port=x"])
async def test_doctor_says_what_is_wrong_with_a_url_and_prints_no_password(parameter: str) -> None:
    url = f"postgresql://u:s3cr3t@127.0.0.1:1/d?{parameter}"
    settings = MatcherSettings.model_validate({"database_url": url, "encoder_address": "127.0.0.1:1"})
    found = [finding async for finding in examine(settings)]
    (database,) = [finding for finding in found if finding.subject == "database"]
    assert database.state == "fail"
    assert parameter.partition("=")[0] in database.text
    assert "s3cr3t" not in str(found)
