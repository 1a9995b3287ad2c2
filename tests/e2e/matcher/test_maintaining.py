"""A failure in one collection is logged and keeps `maintain` from no other collection."""

import asyncio
import contextlib
import json
import subprocess
import sys
from typing import Any

import asyncpg
import pytest
import structlog

from facerec.matcher.v1 import matcher_pb2 as pb
from matcher_service.maintenance import runner
from matcher_service.maintenance.runner import CollectionsFailed, MaintenanceOptions
from matcher_service.postgres import migrations
from matcher_service.postgres.connections import owner as session
from matcher_service.postgres.statements import partition_name
from tests.benchmarks.vectors import Dataset
from tests.e2e.matcher.catalog import create, delete
from tests.e2e.matcher.requests import encoding, enroll, vectors
from tests.fixtures import dataset
from tests.fixtures.matcher import RunningMatcher
from tests.fixtures.waiting import LIMIT_SECONDS, until

LATER = "staff"  # after `default`
BROKEN, LATER_FACES = partition_name("person", "default"), partition_name("face", LATER)
IN_THE_WAY = f"facerec.{BROKEN}_near_1"  # what the first index of `default` is to be called


@pytest.fixture
async def later(matcher: RunningMatcher) -> str:
    """A collection with a person who has a face that ends soon and one that stays."""
    await create(matcher, LATER)
    for face, end in zip(vectors(2), (1 << 33, 0), strict=True):
        request = enroll("ann", encoding(face), collection_id=LATER)
        if end:
            request.expire_time.seconds = end
        await matcher.stub.Enroll(request)
    return LATER


async def expire(administrator: asyncpg.Connection) -> None:
    """Have the face of `later` end now."""
    await administrator.execute(
        f"UPDATE facerec.{LATER_FACES} SET expire_time = now() - interval '1 s'"
        " WHERE expire_time < 'infinity'"
    )


async def maintain_once(url: str, *flags: str) -> tuple[int, list[dict[str, Any]], str]:
    """Run the command; its exit code, its log and the last line."""
    command = [sys.executable, "-m", "matcher_service", "maintain", "--maintain-once", "--log-format", "json"]
    ran = await asyncio.to_thread(
        subprocess.run,
        [*command, "--database-url", url, *flags],
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
    )
    lines = ran.stderr.splitlines()
    return ran.returncode, [json.loads(line) for line in lines if line.startswith("{")], lines[-1]


def logged(log: list[dict[str, Any]], event: str) -> list[dict[str, Any]]:
    return [line for line in log if line["event"] == event]


async def receipts(administrator: asyncpg.Connection, collection_id: str) -> list[tuple[int, bool, bool]]:
    """Faces of each receipt, and whether they are vacuumed and scrubbed."""
    rows = await administrator.fetch(
        "SELECT faces, vacuum_time IS NOT NULL, scrub_time IS NOT NULL FROM facerec.erasure"
        " WHERE collection_id = $1",
        collection_id,
    )
    return [tuple(row) for row in rows]


@pytest.mark.parametrize("scrub", [False, True])
async def test_an_index_that_cannot_be_built_fails_its_collection_alone(
    matcher: RunningMatcher, administrator: asyncpg.Connection, database_url: str, later: str, scrub: bool
) -> None:
    await dataset.load(administrator, Dataset(400, 3.0, seed=11).all())
    await administrator.execute("UPDATE facerec.collection SET index_above_faces = 1000")
    await administrator.execute(
        f"CREATE TABLE {IN_THE_WAY} (); ALTER TABLE {IN_THE_WAY} OWNER TO facerec_owner"
    )
    await matcher.stub.DeletePerson(pb.DeletePersonRequest(person_id="p7"))
    await expire(administrator)
    code, log, last = await maintain_once(database_url, *(["--scrub"] if scrub else []))
    assert code == 2
    assert last == "error: collections that could not be maintained: 1; the log says which and why"
    (failed,) = logged(log, "collection_failed")
    assert failed.items() >= {
        ("collection", "default"), ("step", "keep"), ("why", "DuplicateTableError"), ("sqlstate", "42P07")
    }  # fmt: skip
    assert not [line for line in log if "already exists" in json.dumps(line)]
    events = [(line["event"], line["collection"]) for line in log if "collection" in line]
    assert events.index(("expired_faces_erased", later)) < events.index(("index_build_started", "default"))
    assert await receipts(administrator, later) == [(1, True, scrub)]
    # What was erased in the collection itself doesn't wait for its index either.
    assert [each[1:] for each in await receipts(administrator, "default")] == [(True, scrub)]

    await administrator.execute(f"DROP TABLE {IN_THE_WAY}")
    code, log, _ = await maintain_once(database_url)
    assert code == 0
    assert [line["collection"] for line in logged(log, "index_built")] == ["default"]


async def test_a_collection_with_a_missing_table_is_not_mistaken_for_an_erased_one(
    administrator: asyncpg.Connection, database_url: str, later: str
) -> None:
    await administrator.execute(f"ALTER TABLE facerec.{BROKEN} RENAME TO elsewhere")
    await expire(administrator)
    code, log, _ = await maintain_once(database_url)
    assert code == 2
    assert {(line["collection"], line["sqlstate"]) for line in logged(log, "collection_failed")} == {
        ("default", "42P01")
    }
    assert not logged(log, "collection_disappeared")
    assert await receipts(administrator, later) == [(1, True, False)]


async def test_a_collection_erased_during_the_run_is_no_failure(
    matcher: RunningMatcher, administrator: asyncpg.Connection, database_url: str, later: str
) -> None:
    """The erasure holds its locks when `maintain` comes to the collection, and commits then."""
    await matcher.stub.Enroll(enroll("ann", encoding(vectors(1)[0])))
    await expire(administrator)
    watcher = await asyncpg.connect(database_url)
    try:
        async with administrator.transaction():
            await administrator.execute("SELECT facerec.delete_collection($1)", later)
            run = asyncio.create_task(runner.run_once(MaintenanceOptions(database_url)))

            async def waits() -> bool:
                return bool(await watcher.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"))

            await until(waits)
            assert not run.done()
        assert await run
    finally:
        await watcher.close()
    assert await delete(matcher, "default") == (1, 1, 1)


async def test_later_runs_continue_after_a_failure(
    administrator: asyncpg.Connection, database_url: str, later: str
) -> None:
    await administrator.execute(f"ALTER TABLE facerec.{BROKEN} RENAME TO elsewhere")
    with pytest.raises(CollectionsFailed):
        await runner.run_once(MaintenanceOptions(database_url))
    running = asyncio.create_task(runner.run(MaintenanceOptions(database_url, interval_seconds=0.1)))
    try:
        with structlog.testing.capture_logs() as log:
            await until(lambda: len([line for line in log if line["event"] == "collection_failed"]) > 1)
        await expire(administrator)

        async def kept() -> bool:
            return bool(await receipts(administrator, later))

        await until(kept)
        assert not running.done()
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


Row = tuple[bool, int, int]


async def noted(administrator: asyncpg.Connection) -> dict[str, Row]:
    """Of each step whether it ever ended well, its failures, and where it left something for later."""
    rows = await administrator.fetch("SELECT * FROM facerec.maintenance")
    return {row["step"]: (row["success_time"] is not None, row["failures"], row["waiting"]) for row in rows}


async def test_every_step_stores_how_it_ended(administrator: asyncpg.Connection, database_url: str) -> None:
    assert await noted(administrator) == dict.fromkeys(("erase", "keep", "audit"), (False, 0, 0))
    await administrator.execute(f"ALTER TABLE facerec.{BROKEN} RENAME TO elsewhere")
    for failures in (1, 2):
        with pytest.raises(CollectionsFailed):
            await runner.run_once(MaintenanceOptions(database_url))
        assert (await noted(administrator))["erase"] == (False, failures, 0)
    assert (await noted(administrator))["audit"] == (True, 0, 0)
    await administrator.execute(f"ALTER TABLE facerec.elsewhere RENAME TO {BROKEN}")
    await runner.run_once(MaintenanceOptions(database_url))
    assert (await noted(administrator))["erase"] == (True, 2, 0)
    await administrator.execute("ALTER TABLE facerec.audit RENAME TO elsewhere")
    with pytest.raises(asyncpg.UndefinedTableError):
        await runner.run_once(MaintenanceOptions(database_url))
    assert (await noted(administrator))["audit"] == (True, 1, 0)


async def test_a_locked_collection_is_counted_as_left_for_a_later_run(
    administrator: asyncpg.Connection, database_url: str, later: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "LOCK_WAIT_SECONDS", 0.1)
    async with administrator.transaction():
        await administrator.execute(f"LOCK TABLE facerec.{LATER_FACES}")
        await runner.run_once(MaintenanceOptions(database_url))
    assert (await noted(administrator))["erase"] == (True, 0, 1)
    await runner.run_once(MaintenanceOptions(database_url))
    assert (await noted(administrator))["erase"] == (True, 0, 0)


async def test_maintenance_waits_for_the_schema_and_says_so_once(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "SCHEMA_POLL_SECONDS", 0.01)
    tries = []

    async def counted(options: MaintenanceOptions) -> bool:
        tries.append(options)
        return await run_once(options)

    run_once = runner._run_once
    monkeypatch.setattr(runner, "_run_once", counted)
    with structlog.testing.capture_logs() as log:
        running = asyncio.create_task(runner.run_once(MaintenanceOptions(empty_database_url)))
        await until(lambda: len(tries) > 2)
        await migrations.migrate(empty_database_url, migrations.available()[:-1])
        begun = len(tries)
        await until(lambda: len(tries) > begun + 1)
        assert not running.done(), "it began on a schema that is behind"
        await migrations.migrate(empty_database_url)
        assert await running
    assert [each["event"] for each in log].count("waiting_for_schema") == 1


async def test_maintenance_that_waits_for_the_schema_is_ended_by_a_signal(empty_database_url: str) -> None:
    command = [sys.executable, "-m", "matcher_service", "maintain", "--maintain-once", "--log-format", "json"]
    process = await asyncio.create_subprocess_exec(
        *command, "--database-url", empty_database_url, stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr is not None
    async with asyncio.timeout(LIMIT_SECONDS):
        assert json.loads(await process.stderr.readline())["event"] == "waiting_for_schema"
        process.terminate()
        assert await process.wait() == 0
        assert await process.stderr.read() == b""
