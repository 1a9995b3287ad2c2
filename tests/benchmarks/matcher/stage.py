"""A Postgres with a dataset and a matcher that serves it, each on the cores it is given."""

import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import grpc.aio

from facerec.local.postgres import EmbeddedPostgres
from matcher_service.postgres import migrations
from matcher_service.postgres.statements import partition_name
from tests.benchmarks.matcher import cores
from tests.benchmarks.matcher.calls import Calls
from tests.benchmarks.matcher.cores import Cores
from tests.benchmarks.vectors import Dataset, Faces
from tests.fixtures.dataset import SPACE, load_blocks
from tests.fixtures.matcher import MatcherProcess
from tests.fixtures.process import ROOT

NEWCOMER = "new-"  # prefix of the ids of people who are not in the dataset
BUFFERS = "4GB"
SETTINGS = {
    "max_wal_size": "16GB",
    "checkpoint_timeout": "30min",
    "io_method": "sync",
    "autovacuum": "off",  # it would run during some measurements and not others
}


# Postgres has a single core, which a second scan, search or worker would only share.
MATCHER = ("--scan-workers", "0", "--scan-pool-size", "1", "--search-pool-size", "1")


@dataclass(frozen=True)
class Stage:
    """The environment of a part of the benchmark.

    `server` is Postgres, with its data in `folder`; None if it is another program's, which is not pinned.
    """

    url: str
    calls: Calls
    dataset: Dataset
    faces: Faces
    cores: Cores
    server: EmbeddedPostgres | None = None
    folder: Path | None = None

    @property
    def postgres_pid(self) -> int | None:
        """Its process, if it is pinned."""
        return self.server.child.pid if self.server is not None else None

    @contextlib.contextmanager
    def both_cores(self) -> Iterator[None]:
        """Let Postgres and this process use both cores: for what is asserted and not timed."""
        if self.postgres_pid is not None:
            cores.pin(self.postgres_pid, self.cores.both)
        try:
            with cores.on(self.cores.both):
                yield
        finally:
            if self.postgres_pid is not None:
                cores.pin(self.postgres_pid, self.cores.rest)


@contextlib.asynccontextmanager
async def million(
    dataset: Dataset, folder: Path | None, *, exact_only: bool = False, buffers: str = BUFFERS
) -> AsyncIterator[Stage]:
    """The stage of the whole benchmark. A dataset that the given folder has from an earlier run is reused.

    `exact_only` leaves out the index, and the dataset from this process's memory.
    """
    with contextlib.ExitStack() as stack:
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="facerec-bench-")))
        folder.mkdir(exist_ok=True)
        folder.chmod(0o755)  # under root Postgres runs as another user, which must enter it
        await _configure(folder, SETTINGS | {"shared_buffers": buffers})
        server = stack.enter_context(EmbeddedPostgres.open(folder / "data"))
        url = server.url()
        await put_dataset(url, dataset, exact_only=exact_only)
        faces = next(iter(dataset.blocks())) if exact_only else dataset.all()
        apart = Cores.apart()
        cores.pin(server.child.pid, apart.rest)
        stack.enter_context(cores.on(apart.rest))
        with running_matcher(url, apart, *MATCHER) as address:
            async with grpc.aio.insecure_channel(address) as channel:
                yield Stage(url, Calls(channel), dataset, faces, apart, server, folder)


async def _configure(folder: Path, settings: Mapping[str, str]) -> None:
    """Write the server's settings, which take a start of their own, and print them."""
    with EmbeddedPostgres.open(folder / "data") as server:
        async with connected(server.url()) as connection:
            version = await connection.fetchval("SHOW server_version")
            for name, value in settings.items():
                await connection.execute(f"ALTER SYSTEM SET {name} = '{value}'")
    print("matcher:", *MATCHER)
    print(f"PostgreSQL {version}:", ", ".join(f"{name} = {value}" for name, value in settings.items()))


@contextlib.contextmanager
def running_matcher(url: str, where: Cores, *flags: str) -> Iterator[str]:
    """A matcher in a process of its own, on its core; its address."""
    with cores.on(where.matcher):
        process = MatcherProcess(url, *flags)
    try:
        process.event("database_ready")
        yield process.address
    finally:
        process.stop()


@contextlib.asynccontextmanager
async def connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


async def put_dataset(
    url: str, dataset: Dataset, collection_id: str = "default", *, exact_only: bool = False
) -> None:
    """Load a dataset and have `maintain` build index and sketches, unless it is there from an earlier run."""
    await migrations.migrate(url)
    async with connected(url) as connection:
        name = f"{dataset.people} people, {dataset.photos} photos each, seed {dataset.seed}"
        if await _is_there(connection, name, collection_id):
            await erase_newcomers(url)
            if not await _has_sketches(connection, collection_id):  # kept from an older release
                maintain(url)
            return
        start = time.perf_counter()
        await connection.fetchval("SELECT facerec.create_collection($1, $2)", collection_id, SPACE)
        await connection.execute(
            "UPDATE facerec.collection SET exact_only = $2 WHERE collection_id = $1",
            collection_id,
            exact_only,
        )
        await load_blocks(connection, dataset.blocks(), collection_id)
        loaded = time.perf_counter()
        maintain(url)
        await connection.execute(
            "UPDATE facerec.collection SET display_name = $2 WHERE collection_id = $1", collection_id, name
        )
        query = "SELECT index_effort, index_recall FROM facerec.collection WHERE collection_id = $1"
        row = await connection.fetchrow(query, collection_id)
        await connection.execute("CHECKPOINT")
    print(
        f"{collection_id}: {name}; loaded in {loaded - start:.0f} s, maintained in"
        f" {time.perf_counter() - loaded:.0f} s; lists searched and recall measured: {tuple(row or ())}",
        flush=True,
    )


async def _is_there(connection: asyncpg.Connection, name: str, collection_id: str) -> bool:
    query = "SELECT display_name FROM facerec.collection WHERE collection_id = $1"
    return bool(await connection.fetchval(query, collection_id) == name)


async def _has_sketches(connection: asyncpg.Connection, collection_id: str) -> bool:
    query = "SELECT sketch_max_distance FROM facerec.collection WHERE collection_id = $1"
    return await connection.fetchval(query, collection_id) is not None


async def erase_newcomers(url: str) -> None:
    """Erase the people that a benchmark enrolled and left behind, and vacuum the tables."""
    person, face = (partition_name(parent, "default") for parent in ("person", "face"))
    async with connected(url) as connection:
        gone = await connection.fetchval(
            f"WITH gone AS (DELETE FROM facerec.{person} WHERE person_id LIKE '{NEWCOMER}%'"
            f" RETURNING person_key), faces AS (DELETE FROM facerec.{face} f USING gone"
            " WHERE f.collection_id = 'default' AND f.person_key = gone.person_key)"
            " SELECT count(*) FROM gone"
        )
        if gone:
            await connection.execute(f"VACUUM ANALYZE facerec.{face}, facerec.{person}")


def maintain(url: str) -> None:
    """Run the command that builds indexes, once."""
    command: Sequence[str] = (sys.executable, "-m", "matcher_service", "maintain", "--maintain-once")
    subprocess.run([*command, "--database-url", url], cwd=ROOT, check=True, stderr=subprocess.DEVNULL)
