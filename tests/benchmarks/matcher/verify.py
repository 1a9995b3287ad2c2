"""Verify compared with an empty handler: the share of gRPC's maximum rate that it reaches."""

import contextlib
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from functools import partial

import grpc.aio
import numpy as np

from tests.benchmarks.matcher import calls, cores, driving
from tests.benchmarks.matcher.calls import Calls
from tests.benchmarks.matcher.cores import Cores
from tests.benchmarks.matcher.stage import Stage
from tests.benchmarks.matcher.tables import Figure, Table, milliseconds
from tests.fixtures.process import ROOT

IN_FLIGHT = 64
REQUESTS = 2000


@contextlib.contextmanager
def running_echo(where: Cores) -> Iterator[str]:
    """The empty handler in a process of its own, on the matcher's core; its address."""
    with cores.on(where.matcher):
        command = [sys.executable, "-m", "tests.benchmarks.matcher.echo"]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait(10)
        process.stdout.close()


@contextlib.asynccontextmanager
async def echo_calls(where: Cores) -> AsyncIterator[Calls]:
    with running_echo(where) as address:
        async with grpc.aio.insecure_channel(address) as channel:
            yield Calls(channel)


async def _send(to: Calls, requests: list[bytes], number: int) -> None:
    await to.verify_bytes(requests[number % len(requests)])


async def run(stage: Stage, *, rounds: int = 5, seconds: float = 3.0, singles: int = 1000) -> Table:
    """Measure both in turn, so that neither has a quieter machine, and take the median."""
    probes = stage.dataset.genuine(REQUESTS, draw=9)
    requests = [
        calls.verify(int(person), vector).SerializeToString()
        for person, vector in zip(probes.people, probes.encodings, strict=True)
    ]
    ours, empty, ratios = [], [], []
    single, single_echo = [], []
    async with echo_calls(stage.cores) as echo:
        for _ in range(rounds):
            sends = {
                name: partial(_send, to, requests) for name, to in (("echo", echo), ("verify", stage.calls))
            }
            empty.append(await driving.rate(sends["echo"], in_flight=IN_FLIGHT, seconds=seconds))
            ours.append(await driving.rate(sends["verify"], in_flight=IN_FLIGHT, seconds=seconds))
            ratios.append(ours[-1] / empty[-1])
            single.append(await driving.one_by_one(sends["verify"], singles // rounds))
            single_echo.append(await driving.one_by_one(sends["echo"], singles // rounds))
    one, one_echo = np.concatenate(single), np.concatenate(single_echo)
    return Table.of_figures(
        f"Verify with an encoding, {len(stage.faces.people):,} faces",
        [
            Figure.plain(f"echo, {IN_FLIGHT} in flight", float(np.median(empty)), " a second"),
            Figure.plain(f"Verify, {IN_FLIGHT} in flight", float(np.median(ours)), " a second"),
            Figure.at_least("Verify's share of the echo's rate", 100 * float(np.median(ratios)), 40, " %"),
            Figure.at_most("Verify, one in flight, p50", milliseconds(one), 1.5, " ms"),
            Figure.plain("Verify, one in flight, p99", milliseconds(one, 99), " ms"),
            Figure.plain("echo, one in flight, p50", milliseconds(one_echo), " ms"),
            Figure.plain("echo, one in flight, p99", milliseconds(one_echo, 99), " ms"),
        ],
    )
