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
from tests.benchmarks.matcher.tables import Figure, Seconds, Table, milliseconds
from tests.fixtures.process import ROOT

IN_FLIGHT = 64
REQUESTS = 2000


@contextlib.contextmanager
def running_echo(where: Cores, *arguments: str) -> Iterator[str]:
    """The empty handler in a process of its own, on the matcher's core; its address."""
    with cores.on(where.matcher):
        command = [sys.executable, "-m", "tests.benchmarks.matcher.echo", *arguments]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait(10)
        process.stdout.close()


@contextlib.asynccontextmanager
async def echo_calls(where: Cores, *arguments: str) -> AsyncIterator[Calls]:
    with running_echo(where, *arguments) as address:
        async with grpc.aio.insecure_channel(address) as channel:
            yield Calls(channel)


async def _send(to: Calls, requests: list[bytes], number: int) -> None:
    await to.verify_bytes(requests[number % len(requests)])


class Rates:
    """What calls with many in flight came to, of one server, in several rounds."""

    def __init__(self, send: driving.Send, postgres_pid: int | None) -> None:
        self._send = send
        self._postgres_pid = postgres_pid
        self.per_second: list[float] = []
        self.postgres_microseconds: list[float] = []
        self.times: list[float] = []

    async def measure(self, seconds: float) -> None:
        before, calls_before = self._postgres_seconds(), len(self.times)
        rate = await driving.rate(self._send, in_flight=IN_FLIGHT, seconds=seconds, times=self.times)
        self.per_second.append(rate)
        used_seconds = self._postgres_seconds() - before
        self.postgres_microseconds.append(1e6 * used_seconds / (len(self.times) - calls_before))

    def _postgres_seconds(self) -> float:
        return cores.cpu_seconds(self._postgres_pid) if self._postgres_pid is not None else 0.0


async def run(stage: Stage, *, rounds: int = 5, seconds: float = 3.0, singles: int = 1000) -> Table:
    """Measure all in turn, so that none has a quieter machine, and take the median."""
    probes = stage.dataset.genuine(REQUESTS, draw=9)
    requests = [
        calls.verify(int(person), vector).SerializeToString()
        for person, vector in zip(probes.people, probes.encodings, strict=True)
    ]
    async with echo_calls(stage.cores) as echo, echo_calls(stage.cores, "middleware") as behind:
        sends = {
            name: partial(_send, to, requests)
            for name, to in (("echo", echo), ("behind", behind), ("verify", stage.calls))
        }
        rates = {name: Rates(send, stage.postgres_pid) for name, send in sends.items()}
        singly: dict[str, list[Seconds]] = {name: [] for name in sends}
        for _ in range(rounds):
            for name, send in sends.items():
                await rates[name].measure(seconds)
                singly[name].append(await driving.one_by_one(send, singles // rounds))
    return _table(
        len(stage.faces.people), rates, {name: np.concatenate(each) for name, each in singly.items()}
    )


def _table(faces: int, rates: dict[str, Rates], one: dict[str, Seconds]) -> Table:
    echo, behind, verify = (np.array(rates[name].per_second) for name in ("echo", "behind", "verify"))
    return Table.of_figures(
        f"Verify with an encoding, {faces:,} faces",
        [
            Figure.plain(f"echo, {IN_FLIGHT} in flight", float(np.median(echo)), " a second"),
            Figure.plain("the same behind the middleware", float(np.median(behind)), " a second"),
            Figure.plain(f"Verify, {IN_FLIGHT} in flight", float(np.median(verify)), " a second"),
            Figure.at_least(
                "Verify's share of the echo's rate", 100 * float(np.median(verify / echo)), 40, " %"
            ),
            Figure.at_least(
                "Verify's share of the rate behind the middleware",
                100 * float(np.median(verify / behind)),
                75,
                " %",
            ),
            Figure.plain(
                f"Verify, {IN_FLIGHT} in flight, p99",
                milliseconds(np.array(rates["verify"].times), 99),
                " ms",
            ),
            Figure.at_most(
                "Postgres' CPU a claim, many in flight",
                float(np.median(rates["verify"].postgres_microseconds)),
                45,
                " us",
            ),
            Figure.at_most("Verify, one in flight, p50", milliseconds(one["verify"]), 1.5, " ms"),
            Figure.plain("Verify, one in flight, p99", milliseconds(one["verify"], 99), " ms"),
            Figure.plain("echo, one in flight, p50", milliseconds(one["echo"]), " ms"),
            Figure.plain("echo, one in flight, p99", milliseconds(one["echo"], 99), " ms"),
        ],
    )
