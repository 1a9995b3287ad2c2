"""Exact scans that several searches share: unenrolled probes that arrive together, and their rate."""

import asyncio
import contextlib
import functools
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import asyncpg
import numpy as np

from matcher_service.postgres.session import Session
from matcher_service.postgres.vectors import vector_wire
from tests.benchmarks.matcher import calls, cores, driving
from tests.benchmarks.matcher.peers import FaissFlat
from tests.benchmarks.matcher.stage import Stage, connected
from tests.benchmarks.matcher.tables import Table
from tests.benchmarks.vectors import Vectors
from tests.fixtures.dataset import SPACE

THRESHOLDS = (0.41, 0.5, 0.6)
WAITING = (8, 16)
BEGUN_SECONDS = 0.01  # after which a scan is running, and what comes waits for it
IN_FLIGHT = 32
Work = Callable[[], Awaitable[Any]]


class Cost:
    """Wall and Postgres' CPU seconds of some work, by its name, a value per round."""

    def __init__(self, postgres_pid: int | None) -> None:
        self._pid = postgres_pid
        self.wall: dict[str, list[float]] = {}
        self.cpu: dict[str, list[float]] = {}

    async def measure(self, name: str, work: Work, *, after: Awaitable[Any] | None = None) -> None:
        """Measure some work, from its beginning or from the end of `after`, which has begun before it."""
        running = asyncio.ensure_future(work())
        await (after or asyncio.sleep(0))
        used, start = self._used(), time.perf_counter()
        await running
        self.wall.setdefault(name, []).append(time.perf_counter() - start)
        self.cpu.setdefault(name, []).append(self._used() - used)

    def _used(self) -> float:
        return cores.cpu_seconds(self._pid) if self._pid is not None else 0.0

    def row(self, name: str, base: str) -> tuple[str, ...]:
        wall, cpu = (np.median(each[name]) for each in (self.wall, self.cpu))
        return (
            name,
            f"{1000 * wall:.0f}",
            f"{wall / np.median(self.wall[base]):.2f}",
            f"{1000 * cpu:.0f}",
            f"{cpu / np.median(self.cpu[base]):.2f}" if self._pid is not None else "",
        )


@contextlib.asynccontextmanager
async def aggregating(url: str) -> AsyncIterator[Callable[[Vectors, float], Awaitable[Any]]]:
    """The statement that scans for one probe as before scans were shared: an aggregate that counts faces."""
    async with connected(url) as connection:
        await _prepare(connection)
        session = Session(connection, "default")

        async def scan(vector: Vectors, threshold: float) -> Any:
            return await session.rows(
                "identify",
                encoding=vector_wire(vector),
                face_id=None,
                max_distance=threshold,
                max_candidates=5,
                max_rows=5,
                space=SPACE,
                exact_only=True,
                max_scanned_faces=None,
                lists_share=1.0,
                acceptance_share=1.0,
                by_id=False,
                labels_path=None,
                with_suspended=False,
                left_out_key=None,
            )

        yield scan


async def _prepare(connection: asyncpg.Connection) -> None:
    schema = await connection.fetchval(
        "SELECT extnamespace::regnamespace::text FROM pg_extension WHERE extname = 'vector'"
    )
    await connection.execute(
        f"SET search_path = {schema}; SET jit = off; SET max_parallel_workers_per_gather = 0"
    )
    await connection.set_type_codec("vector", schema=schema, encoder=bytes, decoder=bytes, format="binary")


async def run(stage: Stage, *, rounds: int = 7, seconds: float = 15.0) -> Table:
    """Run all in turn in each round, with other probes each time; return medians and ratios."""
    faiss = FaissFlat(stage.faces)
    probes = stage.dataset.non_mated(rounds * max(WAITING), draw=5).reshape(rounds, max(WAITING), -1)
    rows: list[tuple[str, ...]] = []
    async with aggregating(stage.url) as before:
        for threshold in THRESHOLDS:
            cost, base = Cost(stage.postgres_pid), f"one scan as before, {threshold}"
            ask = functools.partial(search, stage, threshold)
            for vectors in probes:
                await cost.measure(base, lambda: before(vectors[0], threshold))  # noqa: B023
                await cost.measure(f"1 alone, {threshold}", lambda: ask(vectors[:1]))  # noqa: B023
                for count in WAITING:
                    first = asyncio.create_task(ask(vectors[-1:]))
                    await asyncio.sleep(BEGUN_SECONDS)
                    name = f"{count} that waited together, {threshold}"
                    await cost.measure(name, lambda: ask(vectors[:count]), after=first)  # noqa: B023
            rows += [cost.row(name, base) for name in cost.wall]
    rows += [await _sustained(stage, threshold, seconds) for threshold in THRESHOLDS[:2]]
    for count in (1, *WAITING):
        times = [_took(lambda: faiss.search(vectors[:count])) for vectors in probes]  # noqa: B023
        rows.append(
            (f"FAISS flat, one thread, {count} in a call", f"{1000 * np.median(times):.0f}", "", "", "")
        )
    return Table(
        f"Exact scans shared, {len(stage.faces.people):,} faces",
        ("unenrolled probes", "wall, ms", "of one before", "Postgres' CPU, ms", "of one before"),
        rows,
    )


async def search(stage: Stage, threshold: float, vectors: Vectors) -> None:
    """Search exactly for several vectors at once, a call each."""
    requests = [calls.identify(vector, exact_only=True, max_distance=threshold) for vector in vectors]
    await asyncio.gather(*map(stage.calls.identify, requests))


async def _sustained(stage: Stage, threshold: float, seconds: float) -> tuple[str, ...]:
    vectors = stage.dataset.non_mated(1000, draw=6)

    async def send(number: int) -> None:
        vector = vectors[number % len(vectors)]
        await stage.calls.identify(calls.identify(vector, exact_only=True, max_distance=threshold))

    rate = await driving.rate(send, in_flight=IN_FLIGHT, seconds=seconds)
    return (f"{IN_FLIGHT} in flight, {threshold}", f"{rate:.1f} a second", "", "", "")


def _took(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
