"""`python -m tests.benchmarks.matcher.large --data DIR [--faces N]`: exact scans of ten million faces or so.

Prints what they take on disk, what scans take, and how long after a restart they are answered.
"""

import argparse
import asyncio
import time
from pathlib import Path

import asyncpg

from matcher_service.postgres.statements import partition_name
from tests.benchmarks.matcher.shared import Cost, search
from tests.benchmarks.matcher.stage import Stage, connected, million
from tests.benchmarks.matcher.tables import Table
from tests.benchmarks.vectors import Dataset

PHOTOS = 2
THRESHOLDS = (0.41, 0.5)
TOGETHER = (1, 8, 16)
BUFFERS = "12GB"


async def main() -> None:
    parser = argparse.ArgumentParser(prog="bench-large", description=__doc__)
    parser.add_argument("--faces", type=int, default=10_000_000, help="faces of half as many people")
    parser.add_argument("--data", type=Path, required=True, help="keep the database here")
    chosen = parser.parse_args()
    dataset = Dataset(chosen.faces // PHOTOS, photos=PHOTOS, even=True)
    for restarted in (False, True):
        began = time.perf_counter()
        async with million(dataset, chosen.data, exact_only=True, buffers=BUFFERS) as stage:
            ready = time.perf_counter() - began
            await search(stage, THRESHOLDS[0], dataset.non_mated(1, draw=4))
            first = time.perf_counter() - began
            if restarted:
                print(f"after a restart: ready in {ready:.1f} s, the first scan answered at {first:.1f} s")
                continue
            print((await _sizes(stage)).text())
            print((await _scans(stage)).text(), flush=True)


async def _sizes(stage: Stage) -> Table:
    async with connected(stage.url) as connection:
        rows = [await _size(connection, parent) for parent in ("face", "person", "sketch", "rotation")]
    return Table("On disk, MB", ("table", "heap", "indexes", "total"), rows)


async def _size(connection: asyncpg.Connection, parent: str) -> tuple[str, ...]:
    table = f"facerec.{partition_name(parent, 'default')}"
    row = await connection.fetchrow(
        "SELECT pg_table_size($1::text::regclass) AS heap, pg_indexes_size($1::text::regclass) AS indexes",
        table,
    )
    assert row is not None
    sizes = (row["heap"], row["indexes"], row["heap"] + row["indexes"])
    return (parent, *(f"{size / 1e6:.0f}" for size in sizes))


async def _scans(stage: Stage, rounds: int = 5) -> Table:
    probes = stage.dataset.non_mated(rounds * max(TOGETHER), draw=5).reshape(rounds, max(TOGETHER), -1)
    rows: list[tuple[str, ...]] = []
    for threshold in THRESHOLDS:
        cost, base = Cost(stage.postgres_pid), f"1 together, {threshold}"
        for vectors in probes:
            for count in TOGETHER:
                await cost.measure(
                    f"{count} together, {threshold}",
                    lambda: search(stage, threshold, vectors[:count]),  # noqa: B023
                )
        rows += [cost.row(name, base) for name in cost.wall]
    return Table("Unenrolled probes", ("probes", "wall, ms", "of one", "Postgres' CPU, ms", "of one"), rows)


if __name__ == "__main__":
    asyncio.run(main())
