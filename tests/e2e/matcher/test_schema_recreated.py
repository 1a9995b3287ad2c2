"""A schema that is dropped, restored or moved under a running matcher causes no wrong answer."""

import asyncio
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import grpc.aio
import pytest

from facerec.client.failures import from_rpc_error
from facerec.errors import Reason
from facerec.matcher.v1 import matcher_pb2 as pb
from matcher_service.postgres import migrations
from tests.e2e.matcher.requests import encoding, enroll, refused, vectors
from tests.e2e.matcher.transfers import chunk, header
from tests.fixtures.matcher import RunningMatcher, StartMatcher
from tests.fixtures.programs import run

ANN, BEN = vectors(2)
RECREATED = "DROP SCHEMA facerec CASCADE; DROP EXTENSION vector"
MOVED = 'CREATE SCHEMA "Extensions of ours"; GRANT USAGE ON SCHEMA "Extensions of ours" TO PUBLIC;'
MOVED += 'ALTER EXTENSION vector SET SCHEMA "Extensions of ours"'
COLLECTION_RETYPED = "ALTER TABLE facerec.collection ALTER display_name TYPE varchar(500)"
TRANSIENT = {Reason.STORE_UNAVAILABLE, Reason.OVERLOADED}


def calls(matcher: RunningMatcher) -> dict[str, Callable[[], Awaitable[Any]]]:
    """One call of each kind of statement: alone, in a transaction, in a scan, in bulk."""
    stub = matcher.stub
    return {
        "enroll": lambda: stub.Enroll(enroll("ann", encoding(ANN))),
        "verify": lambda: stub.Verify(pb.VerifyRequest(person_id="ann", probe=encoding(ANN))),
        "identify": lambda: stub.Identify(pb.IdentifyRequest(probes=[encoding(ANN)], exact_only=True)),
        "compare": lambda: stub.Compare(pb.CompareRequest(probe_a=encoding(ANN), probe_b=encoding(BEN))),
        "update": lambda: stub.UpdatePerson(pb.UpdatePersonRequest(person_id="ann", display_name="Ann")),
        "list": lambda: stub.ListPersons(pb.ListPersonsRequest()),
        "import": lambda: stub.ImportFaces(
            iter([header(import_id=str(uuid.uuid4())), chunk(vectors(1), ["ann"])])
        ),
    }


async def tally(call: Callable[[], Awaitable[Any]], counts: Counter[str], stop: asyncio.Event) -> None:
    """Call again and again, and count the outcomes."""
    while not stop.is_set():
        try:
            answer = await call()
            counts["no match" if isinstance(answer, pb.VerifyResponse) and not answer.match else "ok"] += 1
        except grpc.aio.AioRpcError as error:
            counts[str(from_rpc_error(error, "the matcher").reason)] += 1


async def test_a_restore_over_a_running_matcher_is_reported_as_an_unavailable_database(
    start_matcher: StartMatcher, database_url: str
) -> None:
    matcher = await start_matcher(database_url)
    named = calls(matcher)
    for name in ("enroll", "verify"):
        await named[name]()
    dump = await asyncio.to_thread(run, "pg_dump", "--format=custom", f"--dbname={database_url}")
    counts: dict[str, Counter[str]] = {name: Counter() for name in named if name != "import"}
    stop = asyncio.Event()
    callers = [asyncio.create_task(tally(named[name], counts[name], stop)) for name in counts]
    for _ in range(2):
        restore = ("pg_restore", "--clean", "--if-exists", f"--dbname={database_url}")
        await asyncio.to_thread(
            run, *restore, stdin=dump, check=False
        )  # some drops come too late, to no harm
    stop.set()
    await asyncio.gather(*callers)
    for name, seen in counts.items():
        assert set(seen) <= {"ok", *map(str, TRANSIENT)}, name
    assert sum(seen["ok"] for seen in counts.values())
    assert sum(seen[str(Reason.STORE_UNAVAILABLE)] for seen in counts.values())
    await until_ready(matcher)
    for call in named.values():
        await call()
    assert (await named["verify"]()).match
    with refused(Reason.COLLECTION_NOT_FOUND, "collection_id"):
        await matcher.stub.GetPerson(pb.GetPersonRequest(collection_id="gone", person_id="ann"))


async def until_ready(matcher: RunningMatcher) -> None:
    """Wait until the matcher has seen that the schema is there again."""
    for _ in range(600):
        try:
            await matcher.stub.ListPersons(pb.ListPersonsRequest())
        except grpc.aio.AioRpcError as error:
            assert from_rpc_error(error, "the matcher").reason in TRANSIENT
            await asyncio.sleep(0.1)
        else:
            return
    raise AssertionError("not ready after a minute")


@pytest.mark.parametrize(
    "change", [RECREATED, MOVED, COLLECTION_RETYPED], ids=["recreated", "moved", "retyped"]
)
async def test_connections_older_than_the_schema_are_replaced_and_no_call_fails(
    start_matcher: StartMatcher, database_url: str, administrator: asyncpg.Connection, change: str
) -> None:
    # The schema's version is looked at so seldom that only the calls themselves can notice.
    matcher = await start_matcher(database_url, schema_check_seconds=60)
    for call in calls(matcher).values():
        await call()
    for _ in range(2 if change == RECREATED else 1):
        await administrator.execute(change)
        await migrations.migrate(database_url)
        for name, call in calls(matcher).items():
            try:
                await call()
            except grpc.aio.AioRpcError as error:
                pytest.fail(f"{name}: {error.details()}")
    assert (await calls(matcher)["verify"]()).match


async def test_while_the_schema_is_missing_no_collection_is_reported_as_unknown(
    start_matcher: StartMatcher, database_url: str, administrator: asyncpg.Connection
) -> None:
    matcher = await start_matcher(database_url, schema_check_seconds=60)
    named = calls(matcher)
    for call in named.values():
        await call()
    await administrator.execute("DROP SCHEMA facerec CASCADE")
    for call in named.values():
        with refused(Reason.STORE_UNAVAILABLE):
            await call()


async def test_a_collection_whose_tables_are_not_restored_yet_is_unavailable(
    start_matcher: StartMatcher, database_url: str, administrator: asyncpg.Connection
) -> None:
    matcher = await start_matcher(database_url)
    await administrator.execute(
        "DO $$ BEGIN EXECUTE 'DROP TABLE facerec.' || facerec.partition_name('person', 'default'); END $$"
    )
    with refused(Reason.STORE_UNAVAILABLE):
        await matcher.stub.GetPerson(pb.GetPersonRequest(person_id="ann"))
