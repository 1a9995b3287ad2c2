"""What searches cost the primary's CPU, without standbys and with one that answers them."""

import asyncio
import contextlib
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import grpc.aio
import numpy as np

from facerec.local.postgres import EmbeddedPostgres
from facerec.local.standby import EmbeddedStandby
from facerec.matcher.v1 import matcher_pb2 as pb
from tests.benchmarks.matcher import calls, cores
from tests.benchmarks.matcher.calls import Calls
from tests.benchmarks.matcher.cores import Cores
from tests.benchmarks.matcher.stage import MATCHER, Stage
from tests.benchmarks.matcher.tables import Table
from tests.benchmarks.vectors import Dataset
from tests.fixtures.matcher import MatcherProcess

GOAL_PERCENT = 2.0
IDLE_SECONDS = 3.0  # before each block: what servers use without a search is not a search's
SCAN_DISTANCE = 0.41  # of the exact scans: the default threshold of a collection is near it
Search = Callable[[Calls, int], Awaitable[pb.IdentifiedFace]]


@dataclass
class Cost:
    """CPU milliseconds a search, by server, a value for each block."""

    primary: list[float] = field(default_factory=list)
    standby: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Servers:
    """A primary and its standby, a matcher that reads from the former, and one that reads from the latter."""

    primary: EmbeddedPostgres
    standby: EmbeddedPostgres
    alone: Calls
    aided: Calls

    def cpu_seconds(self) -> tuple[float, float]:
        """What each server has used so far."""
        return cores.cpu_seconds(self.primary.child.pid), cores.cpu_seconds(self.standby.child.pid)


async def run(stage: Stage, *, blocks: int = 7, searches: int = 200, scans: int = 6) -> Table:
    """Copy the primary, and measure blocks of searches with the standby and without it in turn."""
    assert stage.server is not None
    with _copied(stage.server, stage.folder) as standby:
        cores.pin(standby.child.pid, stage.cores.rest)
        async with serving(stage.server, standby, stage.cores) as servers:
            return await compare(servers, stage.dataset, blocks=blocks, searches=searches, scans=scans)


@contextlib.contextmanager
def _copied(primary: EmbeddedPostgres, parent: Path | None) -> Iterator[EmbeddedStandby]:
    """A standby in a folder of its own, which goes with the block."""
    with tempfile.TemporaryDirectory(prefix="facerec-bench-", dir=parent) as name:
        folder = Path(name)
        folder.chmod(0o755)  # under root Postgres runs as another user, which must enter it
        standby = EmbeddedStandby.copy(folder / "standby", primary)
        try:
            yield standby
        finally:
            standby.stop()


@contextlib.asynccontextmanager
async def serving(
    primary: EmbeddedPostgres, standby: EmbeddedPostgres, where: Cores
) -> AsyncIterator[Servers]:
    """The servers, with both matchers."""
    async with contextlib.AsyncExitStack() as stack:
        called = []
        for flags in ((), ("--read-database-urls", standby.url(), "--replay-wait-seconds", "10")):
            with cores.on(where.matcher):
                process = MatcherProcess(primary.url(), *MATCHER, *flags)
            stack.callback(process.stop)
            process.event("standby_usable" if flags else "database_ready")
            channel = await stack.enter_async_context(grpc.aio.insecure_channel(process.address))
            called.append(Calls(channel))
        yield Servers(primary, standby, *called)


async def compare(
    servers: Servers,
    dataset: Dataset,
    *,
    blocks: int,
    searches: int,
    scans: int,
    idle_seconds: float = IDLE_SECONDS,
) -> Table:
    """The costs of both kinds of search, and how the primary's compare."""
    rows = []
    enrolled = dataset.genuine(blocks * searches, draw=11).encodings
    unenrolled = dataset.non_mated(blocks * scans, draw=11)

    async def by_index(to: Calls, number: int) -> pb.IdentifiedFace:
        return await to.identify(calls.identify(enrolled[number], max_candidates=1))

    async def by_scan(to: Calls, number: int) -> pb.IdentifiedFace:
        request = calls.identify(unenrolled[number], exact_only=True, max_distance=SCAN_DISTANCE)
        return await to.identify(request)

    searching: list[tuple[str, Search, int]] = [("by index", by_index, searches), ("by scan", by_scan, scans)]
    for kind, search, count in searching:
        alone, aided = Cost(), Cost()
        for block in range(blocks):
            for to, cost in ((servers.alone, alone), (servers.aided, aided)):
                idle = await _used(servers, asyncio.sleep(idle_seconds))
                quiet = [seconds / idle_seconds for seconds in idle]
                numbers = range(block * count, (block + 1) * count)
                await _measure(servers, cost, to, search, numbers, quiet=quiet)
        rows += _rows(kind, alone, aided)
    return Table(
        f"CPU of a search, {dataset.people * round(dataset.photos):,} faces, medians of {blocks} blocks",
        ("search", "of the primary, ms", "of the standby, ms", "of the primary's alone", "goal", "met"),
        rows,
    )


async def _measure(
    servers: Servers, cost: Cost, to: Calls, search: Search, numbers: range, *, quiet: list[float]
) -> None:
    """Search one by one, so that each asks the primary for its position by itself.

    `quiet` is what each server uses by itself, in CPU seconds a second.
    """

    async def searches() -> None:
        for number in numbers:
            await search(to, number)

    start = time.perf_counter()
    used = await _used(servers, searches())
    seconds = time.perf_counter() - start
    primary, standby = (
        1000 * (busy - idle * seconds) / len(numbers) for busy, idle in zip(used, quiet, strict=True)
    )
    cost.primary.append(primary)
    cost.standby.append(standby)


async def _used(servers: Servers, work: Awaitable[None]) -> list[float]:
    """The CPU seconds of each server during some work."""
    before = servers.cpu_seconds()
    await work
    return [end - begin for begin, end in zip(before, servers.cpu_seconds(), strict=True)]


def _rows(kind: str, alone: Cost, aided: Cost) -> list[tuple[str, ...]]:
    def row(name: str, cost: Cost, *more: str) -> tuple[str, ...]:
        return (name, f"{np.median(cost.primary):.3f}", f"{np.median(cost.standby):.3f}", *more)

    percent = 100 * float(np.median(aided.primary) / np.median(alone.primary))
    met = "yes" if percent <= GOAL_PERCENT else "MISSED"
    return [
        row(f"{kind}, primary alone", alone, "", "", ""),
        row(f"{kind}, with a standby", aided, f"{percent:.1f} %", f"at most {GOAL_PERCENT:g} %", met),
    ]
