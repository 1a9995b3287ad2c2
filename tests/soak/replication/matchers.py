"""Matchers in processes of their own, what they measured, and callers who call them again and again."""

import asyncio
import collections
import contextlib
import dataclasses
import json
import threading
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import grpc.aio
import numpy as np
from prometheus_client.parser import text_string_to_metric_families

from facerec.client.failures import from_rpc_error
from facerec.errors import Reason
from facerec.matcher.v1 import matcher_pb2 as pb
from facerec.matcher.v1 import matcher_pb2_grpc
from tests.e2e.matcher.requests import encoding
from tests.fixtures.process import ServiceProcess
from tests.fixtures.waiting import LIMIT_SECONDS

CALL_SECONDS = 20.0
PAUSE_SECONDS = 0.02  # before a call is made again
TRANSIENT = {Reason.STORE_UNAVAILABLE, Reason.OVERLOADED, Reason.DEADLINE_EXCEEDED}
KINDS = ((), ("--scan-apart-above-faces", "0"))  # one of them also searches by exact scans
FLAGS = (
    *("--statement-timeout-seconds", "3", "--lock-timeout-seconds", "1"),
    *("--encoder-address", "127.0.0.1:1", "--admin-address", "127.0.0.1:0"),
)


@dataclasses.dataclass(frozen=True)
class Matchers:
    """Running matchers."""

    processes: list[ServiceProcess]

    @property
    def addresses(self) -> list[str]:
        """Where each one is called."""
        return [process.address for process in self.processes]

    def reads(self) -> collections.Counter[str]:
        """The reads so far, by the role of the server that answered, of all matchers together."""
        return self._total("facerec_matcher_reads_total", "role")

    def fallbacks(self) -> collections.Counter[str]:
        """The reads so far that a standby did not answer, by reason."""
        return self._total("facerec_matcher_read_fallbacks_total", "reason")

    def excluded(self) -> collections.Counter[str]:
        """How often matchers stopped reading from a standby so far, by reason."""
        lines = [line for process in self.processes for line in tuple(process.lines)]
        return collections.Counter(json.loads(line)["why"] for line in lines if "standby_excluded" in line)

    def read_from(self, number: int) -> bool:
        """Whether every matcher reads from a standby, by its number."""
        name, labels = "facerec_matcher_standby_usable", {"server": str(number)}
        return all(
            any(each.name == name and each.labels == labels and each.value == 1 for each in samples)
            for samples in map(_samples, self.processes)
        )

    def internal_errors(self) -> list[str]:
        """The lines of the logs that tell of one."""
        return [
            line for process in self.processes for line in tuple(process.lines) if "internal_error" in line
        ]

    def _total(self, name: str, label: str) -> collections.Counter[str]:
        counted: collections.Counter[str] = collections.Counter()
        for process in self.processes:
            for each in _samples(process):
                if each.name == name:
                    counted[each.labels[label]] += int(each.value)
        return counted


def _samples(process: ServiceProcess) -> list[Any]:
    url = f"http://{process.event('listening')['admin']}/metrics"
    with urllib.request.urlopen(url, timeout=LIMIT_SECONDS) as page:
        text = page.read().decode()
    return [sample for family in text_string_to_metric_families(text) for sample in family.samples]


@contextlib.contextmanager
def matchers(database_url: str, read_urls: str, *, module: str = "matcher_service") -> Iterator[Matchers]:
    """Two matchers that have found a standby; `module` is the one to run."""
    flags = ("--database-url", database_url, "--read-database-urls", read_urls, *FLAGS)
    with contextlib.ExitStack() as cleanup:
        processes = [ServiceProcess(module, *flags, *more) for more in KINDS]
        for process in processes:
            cleanup.callback(process.stop)
        for process in processes:
            process.event("standby_usable")
        yield Matchers(processes)


@dataclasses.dataclass
class Caller:
    """Makes calls, again while they fail, until it is `enough`; `failures` has the reasons."""

    enough: threading.Event = dataclasses.field(default_factory=threading.Event)
    calls: int = 0
    failures: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)

    async def answer(self, call: Callable[..., Awaitable[Any]], request: Any, missing: Any = None) -> Any:
        """The answer; `missing` if there is no such person. Raises Enough."""
        while not self.enough.is_set():
            self.calls += 1
            try:
                return await call(request, timeout=CALL_SECONDS)
            except grpc.aio.AioRpcError as error:
                reason = from_rpc_error(error, "the matcher").reason
                if reason is Reason.PERSON_NOT_FOUND and missing is not None:
                    return missing
                self.failures[str(reason)] += 1
                await asyncio.sleep(PAUSE_SECONDS)
        raise Enough


class Enough(Exception):
    """No more calls are wanted."""


@contextlib.asynccontextmanager
async def stubs(addresses: list[str]) -> AsyncIterator[list[Any]]:
    """A stub of each matcher."""
    async with contextlib.AsyncExitStack() as stack:
        channels = [
            await stack.enter_async_context(grpc.aio.insecure_channel(address)) for address in addresses
        ]
        yield [matcher_pb2_grpc.MatcherServiceStub(channel) for channel in channels]


class Faces:
    """Draws faces, each of another person."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)

    def next(self) -> pb.Probe:
        """One more."""
        drawn = self._random.normal(size=128)
        return encoding((1.42 * drawn / np.linalg.norm(drawn)).astype(np.float32))
