"""A dump restored into another server, by the commands of docs/operations.md, gives the same answers."""

import asyncio
import functools
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest
from google.protobuf.struct_pb2 import Struct

from facerec.local.postgres import EmbeddedPostgres
from facerec.matcher.v1 import matcher_pb2 as pb
from matcher_service.postgres import migrations
from tests.e2e.matcher.requests import encoding, enroll, vectors
from tests.fixtures import programs
from tests.fixtures.matcher import StartMatcher
from tests.fixtures.vector_encoder import own_quality, picture, vector_encoder

PEOPLE = 20
run = functools.partial(programs.run, folder=programs.EMBEDDED)  # the servers are embedded ones
LOGINS = """
CREATE ROLE matcher_login LOGIN IN ROLE facerec_serve;
CREATE ROLE other_login LOGIN;
REVOKE ALL ON DATABASE facerec FROM PUBLIC;
GRANT CONNECT ON DATABASE facerec TO matcher_login;
"""


@pytest.fixture
def servers() -> Iterator[tuple[EmbeddedPostgres, EmbeddedPostgres]]:
    """Two servers of their own."""
    with tempfile.TemporaryDirectory(prefix="facerec-test-") as folder:
        Path(folder).chmod(0o755)
        first = EmbeddedPostgres.open(Path(folder) / "first")
        try:
            second = EmbeddedPostgres.open(Path(folder) / "second")
            try:
                yield first, second
            finally:
                second.stop()
        finally:
            first.stop()


@pytest.fixture
async def encoder() -> AsyncIterator[str]:
    """HOST:PORT of an encoder whose pictures are vectors."""
    async with vector_encoder(own_quality) as address:
        yield address


async def execute(url: str, statements: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statements)
    finally:
        await connection.close()


async def answers(
    start_matcher: StartMatcher, url: str, encoder: str, *, fill: bool
) -> tuple[list[list[object]], list[pb.Face]]:
    """What a matcher over a database answers of everybody: candidates, and faces."""
    matcher = await start_matcher(url, encoder_address=encoder, audit_decisions=False)
    if fill:
        for number, face in enumerate(vectors(PEOPLE)):
            labels, metadata = {"half": f"{number % 2}"}, Struct()
            metadata.update({"number": number})
            named = enroll(f"p{number}", pb.Probe(image=picture(face)), labels=labels)
            named.display_name = f"Person {number}"
            named.metadata.CopyFrom(metadata)
            await matcher.stub.Enroll(named)
    found: list[list[object]] = []
    for face in [*vectors(PEOPLE), *vectors(5, seed=9)]:
        among = pb.PersonFilter(labels={"half": pb.LabelValues(values=["1"])})
        for chosen in (None, among):
            request = pb.IdentifyRequest(probes=[encoding(face)], filter=chosen, include_attributes=True)
            candidates = (await matcher.stub.Identify(request)).faces[0].candidates
            found.append(
                [(c.person_id, c.display_name, c.distance, c.face_id, str(c.metadata)) for c in candidates]
            )
    listed = [
        (await matcher.stub.ListFaces(pb.ListFacesRequest(person_id=f"p{number}"))).faces[0]
        for number in range(PEOPLE)
    ]
    await matcher.service.stop()
    return found, listed


async def test_a_dump_restored_elsewhere_gives_the_same_answers(
    start_matcher: StartMatcher, servers: tuple[EmbeddedPostgres, EmbeddedPostgres], encoder: str
) -> None:
    old, new = servers
    await execute(old.url(), "CREATE DATABASE facerec")
    await migrations.migrate(old.url("facerec"))
    await execute(old.url("facerec"), LOGINS)
    before = await answers(start_matcher, old.url("facerec", "matcher_login"), encoder, fill=True)
    roles = await asyncio.to_thread(run, "pg_dumpall", "--roles-only", f"--dbname={old.url()}")
    dumping = ("--create", "--format=custom", f"--dbname={old.url('facerec')}")
    dump = await asyncio.to_thread(run, "pg_dump", *dumping)
    await asyncio.to_thread(run, "psql", f"--dbname={new.url()}", "--quiet", stdin=roles)
    restoring = ("--create", "--exit-on-error", f"--dbname={new.url()}")
    await asyncio.to_thread(run, "pg_restore", *restoring, stdin=dump)
    second = new.url("facerec")
    assert await answers(start_matcher, new.url("facerec", "matcher_login"), encoder, fill=False) == before
    counts = [len(found) for found in before[0]]
    assert counts[::2] == [1] * PEOPLE + [0] * 5
    assert all(face.HasField("quality") for face in before[1])
    assert counts[1::2] == [number % 2 for number in range(PEOPLE)] + [0] * 5
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied for database"):
        await execute(new.url("facerec", "other_login"), "SELECT 1")
    # The restored database is a whole one: a release migrates it, and people are enrolled on.
    assert await migrations.migrate(second) == []
