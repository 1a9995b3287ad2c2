"""Roll-outs as a Deployment's, behind DNS answers as old as they may be: no call may fail.

`python -m tests.soak.rollouts` takes the times of deploy/kubernetes and rolls one, two and three replicas.
"""

import asyncio
import contextlib
import dataclasses
import itertools
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import yaml

from facerec.client import AsyncEncoderClient, EncoderClient
from facerec.errors import FacerecError
from tests.fixtures.dns import Dns, dns_server
from tests.fixtures.waiting import until
from tests.unit.client.flaky import FlakyEncoder, serving

BASE = Path(__file__).parents[2] / "deploy" / "kubernetes" / "base"
DNS_AGE_SECONDS = 30.0
CALL_SECONDS = 0.02
"""How long a replica takes for a call, so that the callers leave the processor to others."""


@dataclasses.dataclass(frozen=True)
class Times:
    """What a Deployment and the settings of its pods say, in seconds."""

    min_ready: float
    pre_stop: float
    drain: float
    max_connection_age: float

    @classmethod
    def of(cls, name: str) -> "Times":
        """Those of the encoder or the matcher."""
        _, deployment = yaml.safe_load_all((BASE / f"{name}.yaml").read_text())
        lines = (BASE / f"{name}.env").read_text().splitlines()
        settings = dict(line.split("=", 1) for line in lines if not line.startswith("#"))
        return cls.of_deployment(deployment["spec"], settings, name)

    @classmethod
    def of_deployment(cls, spec: dict[str, Any], settings: dict[str, str], name: str) -> "Times":
        """Those of a Deployment's `spec` and its settings."""
        (container,) = spec["template"]["spec"]["containers"]
        return cls(
            spec["minReadySeconds"],
            container["lifecycle"]["preStop"]["sleep"]["seconds"],
            float(settings[f"{name.upper()}_DRAIN_SECONDS"]),
            float(settings[f"{name.upper()}_MAX_CONNECTION_AGE_SECONDS"]),
        )


@dataclasses.dataclass(frozen=True)
class Replica:
    """A server on an address of its own; `encoder` has the connections that called it."""

    host: str
    encoder: FlakyEncoder
    stop: Callable[[], Awaitable[object]]


class Fleet:
    """Replicas of one port behind one name. They drain as the services do, and never reuse an address."""

    def __init__(self, dns: Dns, *, drain_seconds: float, max_connection_age_seconds: float) -> None:
        self.dns = dns
        self._options: dict[str, Any] = {
            "drain_seconds": drain_seconds,
            "max_connection_age_seconds": max_connection_age_seconds,
        }
        self._hosts = (f"127.0.0.{number}" for number in itertools.count(2))
        self._port = "0"

    async def start(self) -> Replica:
        """A further replica, SERVING, which DNS does not name yet."""
        host, encoder, stack = (
            next(self._hosts),
            FlakyEncoder(seconds=CALL_SECONDS),
            contextlib.AsyncExitStack(),
        )
        server = await stack.enter_async_context(
            serving(encoder, address=f"{host}:{self._port}", **self._options)
        )
        self._port = server.address.rpartition(":")[2]
        return Replica(host, encoder, stack.aclose)

    @property
    def target(self) -> str:
        return f"dns://127.0.0.1:{self.dns.port}/encoder.test:{self._port}"


class Callers:
    """Callers through a blocking and an asyncio client, and how their calls ended."""

    def __init__(self, target: str) -> None:
        self._target = target
        self.answered = 0
        self.failed: list[FacerecError] = []

    @property
    def total(self) -> int:
        return self.answered + len(self.failed)

    @contextlib.asynccontextmanager
    async def calling(self) -> AsyncIterator[None]:
        """Call until the block is left, two callers through each client."""
        stop = asyncio.Event()
        with EncoderClient(self._target, timeout_seconds=10) as blocking:
            async with AsyncEncoderClient(self._target, timeout_seconds=10) as client:
                calls = [client.encode, lambda image: asyncio.to_thread(blocking.encode, image)]
                tasks = [asyncio.create_task(self._call(each, stop)) for each in 2 * calls]
                try:
                    yield
                finally:
                    stop.set()
                    await asyncio.gather(*tasks)

    async def _call(self, call: Callable[[bytes], Awaitable[object]], stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                await call(b"image")
            except FacerecError as error:
                self.failed.append(error)
            else:
                self.answered += 1


class RealTime:
    """Waits as a cluster does, with DNS answers of DNS_AGE_SECONDS: long, and at any load."""

    def __init__(self, times: Times) -> None:
        self._times = times

    async def until_available(self, fleet: Fleet, new: Replica) -> None:
        """`minReadySeconds`; DNS names a replica that much after it is ready."""
        asyncio.get_running_loop().call_later(DNS_AGE_SECONDS, fleet.dns.addresses.append, new.host)
        await asyncio.sleep(self._times.min_ready)

    async def until_stopped(self, fleet: Fleet, old: Replica, new: Replica) -> None:
        """`preStop`; DNS names a replica that much after it began to end."""
        asyncio.get_running_loop().call_later(DNS_AGE_SECONDS, fleet.dns.addresses.remove, old.host)
        await asyncio.sleep(self._times.pre_stop)


async def roll(fleet: Fleet, replicas: list[Replica], waits: Any) -> list[Replica]:
    """Replace each in turn, with one more meanwhile and none less; returns those that are left."""
    ending: list[asyncio.Task[object]] = []
    left = []
    for old in replicas:
        new = await fleet.start()
        left.append(new)
        await waits.until_available(fleet, new)
        ending.append(asyncio.create_task(_end(fleet, old, new, waits)))  # beside the next one's start
    await asyncio.gather(*ending)
    return left


async def _end(fleet: Fleet, old: Replica, new: Replica, waits: Any) -> None:
    await waits.until_stopped(fleet, old, new)
    await old.stop()


async def rolled(number: int, times: Times, waits: Any, *, calls: int) -> Callers:
    """Roll so many replicas out under load; returns the callers after at least `calls` calls."""
    async with dns_server() as dns:
        fleet = Fleet(dns, drain_seconds=times.drain, max_connection_age_seconds=times.max_connection_age)
        replicas = [await fleet.start() for _ in range(number)]
        dns.addresses = [each.host for each in replicas]
        callers = Callers(fleet.target)
        async with callers.calling():
            left = await roll(fleet, replicas, waits)
            await until(lambda: callers.total >= calls)
        for replica in left:
            await replica.stop()
    return callers


def main() -> int:
    """Print how many calls failed; exit code 1 if any did."""
    times = Times.of("matcher")
    assert times == Times.of("encoder")
    print(f"{times}, DNS answers {DNS_AGE_SECONDS:.0f} s old\n")
    print("| replicas | roll-out | failed calls |\n| --- | --- | --- |")
    failed = 0
    for number in (1, 2, 3):
        began = time.monotonic()
        callers = asyncio.run(rolled(number, times, RealTime(times), calls=1000))
        seconds = time.monotonic() - began
        print(f"| {number} | {seconds:.0f} s | {len(callers.failed)} of {callers.total:,} |", flush=True)
        failed += len(callers.failed)
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
