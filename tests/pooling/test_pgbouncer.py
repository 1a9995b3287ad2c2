"""PgBouncer between: what can be served is served, and what cannot is refused with a line that says why."""

import asyncio

import asyncpg
import grpc.aio
import numpy as np
import pytest

from facerec.errors import Reason
from facerec.matcher.v1 import matcher_pb2 as pb
from facerec.serving.server.errors import StartError
from matcher_service.diagnostics.doctor import examine
from matcher_service.maintenance import runner, sketches
from matcher_service.maintenance.runner import MaintenanceOptions
from matcher_service.postgres import migrations
from matcher_service.settings import MatcherSettings
from tests.benchmarks.matcher import pooled
from tests.benchmarks.matcher.calls import Calls
from tests.benchmarks.matcher.cores import Cores
from tests.benchmarks.matcher.stage import Stage
from tests.benchmarks.vectors import Dataset, Faces
from tests.e2e.matcher.catalog import delete
from tests.e2e.matcher.indexing import CONFIRMED, INDEX, identify, nearest
from tests.e2e.matcher.requests import encoding, enroll, refused, vectors
from tests.e2e.matcher.test_sketches import PEOPLE
from tests.e2e.matcher.transfers import chunk, export, exported, header, people, send
from tests.fixtures import dataset
from tests.fixtures.matcher import NOWHERE, RunningMatcher, StartMatcher
from tests.fixtures.postgres import PostgresServer
from tests.fixtures.waiting import until
from tests.pooling.conftest import StartPooler
from tests.pooling.pgbouncer import FOLLOWS_STATEMENTS, LOGIN, SETTINGS, program, version

pytestmark = pytest.mark.pgbouncer

FEW = 3  # sessions for more connections: transactions take turns
ENOUGH = 40  # sessions for all connections of two matchers
SERVABLE = [
    pytest.param({"pool_mode": "session", "default_pool_size": ENOUGH}, id="session"),
    pytest.param(
        {"pool_mode": "transaction", "max_prepared_statements": 100, "default_pool_size": FEW},
        id="transaction",
        marks=pytest.mark.skipif(
            program() is not None and version() < FOLLOWS_STATEMENTS,
            reason="this PgBouncer is older than 1.21, which keeps no prepared statements",
        ),
    ),
]


async def use(matcher: RunningMatcher, number: int) -> None:
    """Enroll, verify, identify and delete a person, one after another."""
    person, vector = f"q{number}", vectors(1, seed=100 + number)[0]
    await matcher.stub.Enroll(enroll(person, encoding(vector)))
    verified = await matcher.stub.Verify(pb.VerifyRequest(person_id=person, probe=encoding(vector)))
    assert verified.match
    identified = await matcher.stub.Identify(pb.IdentifyRequest(probes=[encoding(vector)]))
    assert identified.faces[0].candidates[0].person_id == person
    deleted = await matcher.stub.DeletePerson(pb.DeletePersonRequest(person_id=person))
    assert deleted.faces_deleted == 1


@pytest.mark.parametrize("settings", SERVABLE)
async def test_two_matchers_answer_through_it(
    start_pooler: StartPooler,
    start_matcher: StartMatcher,
    database_url: str,
    settings: dict[str, object],
) -> None:
    url = start_pooler(**settings).url(database_url, LOGIN)
    first, second = await start_matcher(url), await start_matcher(url)
    faces, names = vectors(600), people(600)
    answer = await send(first, header(), chunk(faces[:350], names[:350]), chunk(faces[350:], names[350:]))
    assert (answer.faces_added, answer.persons_added) == (600, 300)
    await asyncio.gather(
        *(use(matcher, 10 * at + n) for at, matcher in enumerate((first, second)) for n in range(9))
    )
    came_out, out = exported(await export(second))
    assert came_out == sorted(names)
    assert np.array_equal(np.sort(out, axis=0), np.sort(faces, axis=0))


@pytest.mark.parametrize("settings", SERVABLE)
async def test_a_schema_that_is_made_again_is_served_once_it_has_connected_again(
    start_pooler: StartPooler, start_matcher: StartMatcher, database_url: str, settings: dict[str, object]
) -> None:
    pooler = start_pooler(**settings)
    matcher = await start_matcher(pooler.url(database_url, LOGIN))
    await asyncio.gather(*(use(matcher, number) for number in range(6)))
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute("DROP SCHEMA facerec CASCADE; DROP EXTENSION vector")
    finally:
        await connection.close()
    await migrations.migrate(database_url)
    await pooler.reconnect()
    await until(lambda: is_served(matcher))
    await asyncio.gather(*(use(matcher, number) for number in range(6)))


@pytest.mark.parametrize("settings", SERVABLE)
async def test_a_collection_that_is_made_again_is_served_at_once(
    start_pooler: StartPooler, start_matcher: StartMatcher, database_url: str, settings: dict[str, object]
) -> None:
    matcher = await start_matcher(start_pooler(**settings).url(database_url, LOGIN))
    for _ in range(3):
        await asyncio.gather(*(use(matcher, number) for number in range(6)))
        await delete(matcher, "default")  # which makes it again


@pytest.fixture
async def indexed(
    administrator: asyncpg.Connection, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> Faces:
    """What the collection `default` holds, which has an index and sketches."""
    monkeypatch.setattr(sketches, "MIN_FACES", 4_000)
    faces = PEOPLE.all()
    await dataset.load(administrator, faces)
    await administrator.execute("UPDATE facerec.collection SET index_above_faces = 1000")
    assert await runner.run_once(MaintenanceOptions(url=database_url))
    assert await administrator.fetchval("SELECT sketch_max_distance FROM facerec.collection") > 0.4
    return faces


@pytest.mark.parametrize("settings", SERVABLE)
async def test_searches_by_index_and_sketches_are_answered_as_numpy_does(
    start_pooler: StartPooler,
    start_matcher: StartMatcher,
    database_url: str,
    indexed: Faces,
    settings: dict[str, object],
) -> None:
    matcher = await start_matcher(start_pooler(**settings).url(database_url, LOGIN))
    probes = [*PEOPLE.genuine(20).encodings, *PEOPLE.non_mated(20)]
    answers = await asyncio.gather(*(identify(matcher, each, max_distance=0.4) for each in probes))
    for probe, answer in zip(probes, answers, strict=True):
        person, distance = nearest(indexed, probe)
        assert [each.person_id for each in answer.candidates[:1]] == ([person] if distance <= 0.4 else [])
    assert {answer.mode for answer in answers} == {INDEX, CONFIRMED}


async def is_served(matcher: RunningMatcher) -> bool:
    """Whether calls are answered, not refused because of the database."""
    try:
        await matcher.stub.GetPerson(pb.GetPersonRequest(person_id="nobody"))
    except grpc.aio.AioRpcError as error:
        return error.code() is grpc.StatusCode.NOT_FOUND
    return True


@pytest.mark.parametrize("settings", SERVABLE)
async def test_doctor_finds_the_pooler_and_nothing_wrong(
    start_pooler: StartPooler, database_url: str, settings: dict[str, object]
) -> None:
    url = start_pooler(**settings).url(database_url, LOGIN)
    found = await diagnosed(url)
    assert found["pooler"][0] == "ok"
    assert str(settings["pool_mode"]) in found["pooler"][1]
    assert found["schema"][0] == "ok"


async def diagnosed(url: str) -> dict[str, tuple[str, str]]:
    """What `doctor` finds, by its subject."""
    chosen = MatcherSettings.model_validate({"database_url": url, "encoder_address": "127.0.0.1:1"})
    return {each.subject: (each.state, each.text) async for each in examine(chosen)}


@pytest.mark.parametrize("mode", ["transaction", "statement"])
async def test_a_pooler_that_loses_prepared_statements_or_transactions_is_refused(
    start_pooler: StartPooler, start_matcher: StartMatcher, database_url: str, mode: str
) -> None:
    loses = mode == "transaction" and version() >= FOLLOWS_STATEMENTS
    settings = {"max_prepared_statements": 0} if loses else {}
    url = start_pooler(pool_mode=mode, **settings).url(database_url, LOGIN)
    matcher = await start_matcher(url)
    with refused(Reason.STORE_UNAVAILABLE, message="max_prepared_statements"):
        await matcher.stub.Enroll(enroll("ann", encoding(vectors(1)[0])))
    found = await diagnosed(url)
    assert found["pooler"][0] == "fail"
    assert "max_prepared_statements" in found["pooler"][1]


@pytest.mark.parametrize("lacking", [each for each in SETTINGS if not each.startswith("default_")])
async def test_a_setting_that_the_login_lacks_is_named(
    start_pooler: StartPooler,
    start_matcher: StartMatcher,
    postgres_server: PostgresServer,
    database_url: str,
    lacking: str,
) -> None:
    await asyncio.to_thread(postgres_server.execute, f"ALTER ROLE {LOGIN} RESET {lacking}")
    url = start_pooler().url(database_url, LOGIN)
    matcher = await start_matcher(url)
    with refused(Reason.STORE_UNAVAILABLE, message=f"ALTER ROLE {LOGIN} SET {lacking} = "):
        await matcher.stub.Enroll(enroll("ann", encoding(vectors(1)[0])))
    found = await diagnosed(url)
    assert found["pooler"][0] == "fail"
    assert f"ALTER ROLE {LOGIN} SET {lacking} = " in found["pooler"][1]


async def test_parameters_that_it_does_not_ignore_are_named(
    start_pooler: StartPooler, start_matcher: StartMatcher, database_url: str
) -> None:
    url = start_pooler(ignore_startup_parameters="").url(database_url, LOGIN)
    matcher = await start_matcher(url)
    with refused(Reason.STORE_UNAVAILABLE, message="ignore_startup_parameters = role,jit,"):
        await matcher.stub.Enroll(enroll("ann", encoding(vectors(1)[0])))


async def test_migrate_and_maintain_run_through_sessions(
    start_pooler: StartPooler, start_matcher: StartMatcher, database_url: str
) -> None:
    matcher = await start_matcher(database_url)
    await matcher.stub.Enroll(enroll("ann", encoding(vectors(1)[0])))
    await matcher.stub.DeletePerson(pb.DeletePersonRequest(person_id="ann"))
    url = start_pooler(pool_mode="session").url(database_url, "postgres")
    assert await migrations.migrate(url) == []
    assert await runner.run_once(MaintenanceOptions(url=url, scrub=True))
    assert await runner.run_once(MaintenanceOptions(url=url)), "the lock of the run before is held"
    connection = await asyncpg.connect(database_url)
    try:
        assert await connection.fetchval("SELECT bool_and(scrub_time IS NOT NULL) FROM facerec.erasure")
    finally:
        await connection.close()


async def test_migrate_and_maintain_refuse_a_pooler_of_transactions(
    start_pooler: StartPooler, database_url: str
) -> None:
    url = start_pooler(pool_mode="transaction").url(database_url, "postgres")
    for work in (migrations.migrate(url), runner.run_once(MaintenanceOptions(url=url))):
        with pytest.raises(StartError, match="give them the server's own address"):
            await work


async def test_the_rates_through_it_are_measured_beside_that_without(
    administrator: asyncpg.Connection, database_url: str
) -> None:
    """The short form of the benchmark's part."""
    if program() is None:
        pytest.skip("pgbouncer is not on this machine")
    few = Dataset(100, even=True)
    await dataset.load(administrator, few.all())
    async with grpc.aio.insecure_channel(NOWHERE) as unused:
        stage = Stage(database_url, Calls(unused), few, few.all(), Cores.free())
        table = await pooled.run(stage, rounds=1, seconds=0.2)
    assert [row[0] for row in table.rows][:2] == [pooled.DIRECT, "session pooling"]
    assert all(float(row[1]) > 0 for row in table.rows)
    assert len(table.rows) + len(table.notes) == 1 + len(pooled.MODES)
