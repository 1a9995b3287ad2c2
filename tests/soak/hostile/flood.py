"""Floods of calls that cost a service more than their sender: who else is served, and in how much memory.

Beside each goes a caller of another key, once against the service that is flooded and once with the same
flood going to a listener that only reads: two cores are shared by all of it here.
"""

import asyncio
import contextlib
import hashlib
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import numpy.typing as npt
import psutil

from facerec.client import Encoding, MatcherClient, Security
from facerec.encoder import v1 as encoder
from facerec.matcher import v1
from tests.fixtures.clusters import open_migrated
from tests.fixtures.matcher import MatcherProcess
from tests.soak.hostile.report import CheckResult
from tests.soak.hostile.senders import SENDERS, SERVICE, Sender, varint

SPACE = "dlib-resnet-v1/small/150x0.25"
MAX_P50_MS = 1000.0  # of two calls and a check, on cores that are shared with the flood's own sender
BUDGET_BYTES = 64 << 20
MAX_MESSAGE_BYTES = 48 << 20
MEMORY_BYTES = 8 * BUDGET_BYTES + 8 * MAX_MESSAGE_BYTES + 3 * BUDGET_BYTES + (64 << 20)
"""Beyond an idle service, within what docs/security.md allows: read, not late yet, held, and the calls."""

FLAGS = ("--max-bytes-in-flight", str(BUDGET_BYTES), "--max-request-bytes", str(MAX_MESSAGE_BYTES))
KEYS = {"attacker": ("verify", "enroll", "manage"), "caller": ("manage", "verify")}
PEOPLE = 300  # whose names are as long as any, a page of half a megabyte
NAME = "\N{GRINNING FACE}" * 120
LARGE_BYTES = 41_000  # more than is parsed without counting its fields
LARGE_BYTES_OF = {"20 idle streams": 30 << 20}
"""Beside floods that leave room for less."""
UNKNOWN_FIELD = b"\xc2\x3e"
MAX_BYTES_OF = {"unread answers": 3 * MAX_MESSAGE_BYTES + (64 << 20)}
"""Of floods that are allowed less: what is counted of answers, as bytes of ours and of gRPC's."""


class Caller:
    """Asks for people and verifies one again and again, by a key of its own, from a thread of its own."""

    def __init__(self, address: str, claim: bytes) -> None:
        self._address = address
        self._claim = claim
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.seconds: list[float] = []
        self.failures: list[str] = []

    def __enter__(self) -> "Caller":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(60)

    def _run(self) -> None:
        metadata = (("authorization", "Bearer caller"),)
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_send_message_length", -1)]
        with grpc.insecure_channel(self._address, options) as channel:
            ask: Any = channel.unary_unary(SERVICE + "ListPersons")
            verify: Any = channel.unary_unary(SERVICE + "Verify")
            check: Any = channel.unary_unary("/grpc.health.v1.Health/Check")
            while not self._ended.is_set():
                began = time.monotonic()
                try:
                    ask(b"", timeout=30, metadata=metadata)
                    verify(self._claim, timeout=30, metadata=metadata)
                    check(b"", timeout=30)
                except grpc.RpcError as error:
                    self.failures.append(error.code().name)
                self.seconds.append(time.monotonic() - began)
                self._ended.wait(0.02)

    @property
    def p50_ms(self) -> float:
        """Of two calls and a check together."""
        return 1000 * float(np.median(self.seconds)) if self.seconds else float("nan")

    @property
    def p99_ms(self) -> float:
        """Of two calls and a check together."""
        return 1000 * float(np.percentile(self.seconds, 99)) if self.seconds else float("nan")


def attack(*, short: bool) -> list[CheckResult]:
    """Flood a matcher with each kind in turn."""
    seconds = 0.8 if short else 10.0
    with _matcher() as matcher:
        _enroll(matcher.address)
        return [_flood(matcher, name, sender, seconds, short) for name, sender in SENDERS.items()]


def _flood(matcher: MatcherProcess, name: str, sender: Sender, seconds: float, short: bool) -> CheckResult:
    process, claim = psutil.Process(matcher.process.pid), _claim(LARGE_BYTES_OF.get(name, LARGE_BYTES))
    beside = float("nan")
    if not short:
        with Caller(matcher.address, claim) as quiet:
            asyncio.run(_beside_a_listener(sender, seconds))
        beside = quiet.p99_ms
    idle, cpu, began = process.memory_info().rss, _cpu(process), time.monotonic()
    with _Highest(process) as highest, Caller(matcher.address, claim) as caller:
        asyncio.run(_for(sender, int(matcher.address.rpartition(":")[2]), seconds))
    share = (_cpu(process) - cpu) / (time.monotonic() - began)
    grown, allowed = highest.seen - idle, MAX_BYTES_OF.get(name, MEMORY_BYTES)
    return CheckResult(
        name,
        f"others: {len(caller.seconds)} calls, {len(caller.failures)} failed, p50 {caller.p50_ms:.0f} ms, "
        f"p99 {caller.p99_ms:.0f} ms"
        + ("" if short else f" ({beside:.0f} ms with the flood elsewhere)")
        + f"; memory +{grown >> 20} MiB of {allowed >> 20}; CPU {share:.0%} of a core",
        # In its short form it says nothing of time: it runs beside other tests.
        (bool(caller.seconds) if short else caller.p50_ms < MAX_P50_MS)
        and not caller.failures
        and grown < allowed
        and process.is_running(),
    )


def _vectors() -> npt.NDArray[np.float32]:
    return (np.random.default_rng(0).normal(size=(PEOPLE, 128)) / 8).astype(np.float32)


def _claim(size: int) -> bytes:
    """A request of Verify of the first person, as long as if it brought an image."""
    probe = v1.Probe(encoding=encoder.Encoding(values=_vectors()[0], space=SPACE))
    request = v1.VerifyRequest(person_id=f"{NAME}0", probe=probe).SerializeToString()
    return request + UNKNOWN_FIELD + varint(size) + bytes(size)


def _enroll(address: str) -> None:
    """Fill the collection that answers are about."""
    with MatcherClient(address, security=Security(api_key="attacker")) as client:
        for number, vector in enumerate(_vectors()):
            client.enroll(f"{NAME}{number}", Encoding(vector, SPACE), display_name=2 * NAME)


class _Highest:
    """The most memory that a process has had meanwhile, looked at each 10 ms."""

    def __init__(self, process: psutil.Process) -> None:
        self._process = process
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.seen = 0

    def __enter__(self) -> "_Highest":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(10)

    def _run(self) -> None:
        while not self._ended.wait(0.01):
            self.seen = max(self.seen, self._process.memory_info().rss)


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


async def _for(sender: Sender, port: int, seconds: float) -> None:
    task = asyncio.ensure_future(sender(port))
    await asyncio.wait([task], timeout=seconds)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await asyncio.sleep(0.05)  # what was aborted is closed in the loop's next rounds


async def _beside_a_listener(sender: Sender, seconds: float) -> None:
    async def read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(1 << 16):
            pass
        writer.close()

    server = await asyncio.start_server(read, "127.0.0.1", 0)
    async with server:
        await _for(sender, server.sockets[0].getsockname()[1], seconds)


@contextlib.contextmanager
def _matcher() -> Iterator[MatcherProcess]:
    folder = Path(tempfile.mkdtemp(prefix="facerec-hostile-"))
    folder.chmod(0o755)  # under root Postgres runs as another user, which must enter it
    keys = folder / "keys.toml"
    keys.write_text("\n".join(_entry(name, roles) for name, roles in KEYS.items()))
    try:
        with open_migrated(folder / "data") as postgres:
            process = MatcherProcess(postgres.url(), "--keys-file", str(keys), "--pool-min-size", "1", *FLAGS)
            try:
                process.event("database_ready")
                yield process
            finally:
                process.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _entry(name: str, roles: tuple[str, ...]) -> str:
    digest = hashlib.sha256(name.encode()).hexdigest()
    who = f'[[keys]]\nname = "{name}"\nsha256 = "{digest}"\n'
    return f"{who}roles = {list(roles)}\nencodings = true\nscores = true\n"
