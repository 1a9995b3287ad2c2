"""Measures the deletion of a large collection: `python -m tests.benchmarks.deletion --faces 1000000`."""

import argparse
import asyncio
import os
import tempfile
import time
from pathlib import Path

import asyncpg

from facerec.local.postgres import EmbeddedPostgres
from matcher_service.postgres import migrations
from tests.benchmarks.vectors import Dataset
from tests.fixtures.dataset import SPACE, load_blocks

COLLECTION = "visitors"


def cpu_seconds(pid: int) -> float:
    """The CPU time that a process of this machine has taken."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def measure(url: str, faces: int) -> None:
    """Fill a collection, delete it in one transaction as DeleteCollection does, and print the times."""
    await migrations.migrate(url)
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("SELECT facerec.create_collection($1, $2)", COLLECTION, SPACE)
        dataset = Dataset(faces // 2, photos=2, even=True, seed=1)
        await load_blocks(connection, dataset.blocks(), COLLECTION)
        await connection.execute("SET max_parallel_workers_per_gather = 0")  # all CPU time is this backend's
        pid = await connection.fetchval("SELECT pg_backend_pid()")
        began, cpu = time.perf_counter(), cpu_seconds(pid)
        async with connection.transaction():
            row = await connection.fetchrow("SELECT * FROM facerec.delete_collection($1)", COLLECTION)
            deleted = time.perf_counter()
        assert row is not None
        print(
            f"{row['persons']} people, {row['faces']} faces: statement {deleted - began:.2f} s, "
            f"commit {time.perf_counter() - deleted:.2f} s, CPU of the backend {cpu_seconds(pid) - cpu:.2f} s"
        )
    finally:
        await connection.close()


def main() -> None:
    """Read the arguments, and measure over a Postgres of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faces", type=int, default=1_000_000)
    faces = parser.parse_args().faces
    with tempfile.TemporaryDirectory(prefix="facerec-deletion-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # for root, Postgres runs as another user
        with EmbeddedPostgres.open(folder / "data") as server:
            asyncio.run(measure(server.url(), faces))


if __name__ == "__main__":
    main()
