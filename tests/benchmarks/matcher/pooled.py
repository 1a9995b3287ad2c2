"""Verify with an encoding through PgBouncer, beside the same without it."""

import contextlib
import functools
from collections.abc import AsyncIterator, Iterator

import grpc.aio
import numpy as np

from tests.benchmarks.matcher import calls, cores, driving
from tests.benchmarks.matcher.calls import Calls
from tests.benchmarks.matcher.stage import Stage, connected, running_matcher
from tests.benchmarks.matcher.tables import Table, milliseconds
from tests.pooling.pgbouncer import (
    FOLLOWS_STATEMENTS,
    LOGIN,
    SETTINGS,
    PgBouncer,
    program,
    version,
)

IN_FLIGHT = 64
REQUESTS = 2000
PATIENT = ("--pool-wait-seconds", "30")  # so that a busy machine refuses none
DIRECT = "without PgBouncer"
MODES: dict[str, dict[str, object]] = {
    "session pooling": {"pool_mode": "session", "default_pool_size": 40},
    "transaction pooling": {
        "pool_mode": "transaction",
        "default_pool_size": 10,
        "max_prepared_statements": 100,
    },
}


async def run(stage: Stage, *, rounds: int = 7, seconds: float = 3.0) -> Table:
    """Measure all in turn in each round, and take medians; says what is not measured and why."""
    columns = ("Verify, 64 in flight", "a second", "of the rate without", "p50, ms", "p99, ms")
    if program() is None:
        return Table("Verify through PgBouncer", columns, [], ["Not measured: there is no pgbouncer."])
    modes = dict(list(MODES.items())[: 1 if version() < FOLLOWS_STATEMENTS else 2])
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(_login(stage.url))
        called = {DIRECT: await stack.enter_async_context(_served(stage, stage.url))}
        for mode, settings in modes.items():
            url = stack.enter_context(_pooler(stage, settings))
            called[mode] = await stack.enter_async_context(_served(stage, url))
        rates, times = await _measure(stage, called, rounds, seconds)
    rows = [
        (
            name,
            f"{np.median(rates[name]):.0f}",
            f"{100 * np.median(np.array(rates[name]) / np.array(rates[DIRECT])):.0f} %",
            *(f"{milliseconds(np.array(times[name]), percent):.1f}" for percent in (50, 99)),
        )
        for name in called
    ]
    number = ".".join(map(str, version()))
    notes = [
        f"Not measured: {mode}, which PgBouncer {number} is too old for." for mode in MODES.keys() - modes
    ]
    return Table(f"Verify through PgBouncer {number}", columns, rows, notes)


async def _measure(
    stage: Stage, called: dict[str, Calls], rounds: int, seconds: float
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """The rate of each round, and how long each call took, by name."""
    probes = stage.dataset.genuine(REQUESTS, draw=13)
    requests = [
        calls.verify(int(person), vector).SerializeToString()
        for person, vector in zip(probes.people, probes.encodings, strict=True)
    ]
    rates: dict[str, list[float]] = {name: [] for name in called}
    times: dict[str, list[float]] = {name: [] for name in called}
    for _ in range(rounds):
        for name, to in called.items():
            send = functools.partial(_send, to, requests)
            rates[name].append(
                await driving.rate(send, in_flight=IN_FLIGHT, seconds=seconds, times=times[name])
            )
    return rates, times


async def _send(to: Calls, requests: list[bytes], number: int) -> None:
    await to.verify_bytes(requests[number % len(requests)])


@contextlib.asynccontextmanager
async def _login(url: str) -> AsyncIterator[None]:
    """A login whose role has the settings that a pooler ignores."""
    async with connected(url) as connection:
        await connection.execute(f"DROP ROLE IF EXISTS {LOGIN}")
        await connection.execute(f"CREATE ROLE {LOGIN} LOGIN IN ROLE facerec_serve")
        for name, value in SETTINGS.items():
            await connection.execute(f"ALTER ROLE {LOGIN} SET {name} = {value}")
    yield
    async with connected(url) as connection:
        await connection.execute(f"DROP ROLE {LOGIN}")


@contextlib.asynccontextmanager
async def _served(stage: Stage, url: str) -> AsyncIterator[Calls]:
    """A matcher of its own over a URL."""
    with running_matcher(url, stage.cores, *PATIENT) as address:
        async with grpc.aio.insecure_channel(address) as channel:
            yield Calls(channel)


@contextlib.contextmanager
def _pooler(stage: Stage, settings: dict[str, object]) -> Iterator[str]:
    """The URL of the database through a PgBouncer, which shares the core of Postgres."""
    with cores.on(stage.cores.rest):
        pooler = PgBouncer(stage.url, LOGIN, "postgres", **settings)
    with pooler:
        yield pooler.url(stage.url, LOGIN)
