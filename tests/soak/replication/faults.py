"""Faults of one of two standbys, one by one, under changes and searches of two matchers."""

import asyncio
import collections
import contextlib
import dataclasses
import itertools
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from facerec.local.postgres import EmbeddedPostgres
from facerec.local.standby import EmbeddedStandby
from matcher_service.postgres import migrations
from matcher_service.postgres.statements import partition_name
from tests.fixtures.standbys import fetch, kill, send
from tests.fixtures.waiting import LIMIT_SECONDS, wait_until
from tests.soak.replication.cluster import Cluster, Link, cluster, configure
from tests.soak.replication.freshness import SEED_NUMBERS, Checks
from tests.soak.replication.matchers import Matchers, matchers
from tests.soak.service.proxy import Mode

BROKEN = 1  # the number of the standby that is broken, by which matchers know it
DISK_MIB = 512
POLL_SECONDS = 0.02
FILE_SECONDS = 0.5  # between two files of the log, which the standby gets as a whole

Break = Callable[[], contextlib.AbstractContextManager[None]]


@dataclasses.dataclass(frozen=True)
class Fault:
    """Something that breaks a standby for a while, and the reasons for which it is then not read from.

    `step` is done again and again meanwhile, and `prepared` surrounds it and what is measured.
    """

    name: str
    reasons: frozenset[str]
    happen: Break
    step: Callable[[], None] = lambda: None
    prepared: Break = contextlib.nullcontext


@dataclasses.dataclass
class Seen:
    """What callers saw from a fault's beginning until the standby was used again.

    `back_seconds` is from the fault's end to that time; `skipped` is why the fault was not made.
    """

    calls: int = 0
    failures: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    stale: int = 0
    reads: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    fallbacks: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    back_seconds: float = 0.0
    noticed: bool = False
    skipped: str = ""

    @property
    def passed(self) -> bool:
        """Whether it was noticed, and no call failed or was answered with old data."""
        return bool(self.skipped) or (self.noticed and not self.failures and not self.stale)

    def row(self, name: str) -> tuple[str, ...]:
        """The figures, in the columns of a table."""
        if self.skipped:
            return (name, f"skipped: {self.skipped}", *5 * ("",))
        return (
            name if self.noticed else f"{name} (NOT NOTICED)",
            f"{self.calls:,}",
            _counts(self.failures),
            f"{self.stale}",
            _counts(self.reads),
            _counts(self.fallbacks),
            f"{self.back_seconds:.1f}",
        )


class Faults:
    """The faults of the first standby, which matchers reach through `front`."""

    def __init__(self, servers: Cluster, front: Link) -> None:
        self._servers = servers
        self._front = front

    @property
    def _standby(self) -> EmbeddedStandby:
        return self._servers.standbys[0]

    def all(self) -> list[Fault]:
        """All of them."""
        return [
            Fault("killed", frozenset({"unavailable"}), self._killed),
            Fault("stopped", frozenset({"unresponsive"}), self._stopped),
            Fault("replay paused", frozenset({"lagging"}), self._paused),
            Fault(
                "disk full", frozenset({"lagging", "unavailable"}), self._full, self._fill, self._small_disk
            ),
            # Between the statements of a transaction Postgres ends the connection.
            Fault(
                "conflict with replay",
                frozenset({"conflict", "unavailable"}),
                self._impatient,
                self._conflict,
            ),
            Fault("promoted", frozenset({"promoted"}), self._promoted),
            Fault("another system", frozenset({"other_database"}), self._another, prepared=self._other),
            Fault("cut off", frozenset({"unresponsive"}), self._cut_off),
        ]

    @contextlib.contextmanager
    def _killed(self) -> Iterator[None]:
        kill(self._standby)
        yield
        self._standby.start()

    @contextlib.contextmanager
    def _stopped(self) -> Iterator[None]:
        send(self._standby, signal.SIGSTOP)
        yield
        send(self._standby, signal.SIGCONT)

    @contextlib.contextmanager
    def _paused(self) -> Iterator[None]:
        asyncio.run(fetch(self._standby, "SELECT pg_wal_replay_pause()"))
        yield
        asyncio.run(fetch(self._standby, "SELECT pg_wal_replay_resume()"))

    @contextlib.contextmanager
    def _small_disk(self) -> Iterator[None]:
        """Have its log on a small disk of its own."""
        log = self._log_folder()
        with self._moved(log):
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "tmpfs", log], check=True)
            _own(log)
        try:
            yield
        finally:
            with self._moved(log):
                subprocess.run(["umount", log], check=True)

    def _log_folder(self) -> Path:
        return Path(asyncio.run(fetch(self._standby, "SHOW data_directory"))) / "pg_wal"

    @contextlib.contextmanager
    def _moved(self, log: Path) -> Iterator[None]:
        """The log's files are elsewhere, and its server is down; they are back afterwards."""
        kill(self._standby)
        with tempfile.TemporaryDirectory() as name:
            aside = Path(name) / "log"
            shutil.copytree(log, aside)
            yield
            shutil.copytree(aside, log, dirs_exist_ok=True)
        for path in (log, *log.rglob("*")):
            _own(path, like=log.parent)
        self._standby.start()

    @contextlib.contextmanager
    def _full(self) -> Iterator[None]:
        self._filler = self._log_folder() / "filler"
        with contextlib.suppress(OSError), self._filler.open("wb", buffering=0) as file:
            while file.write(bytes(64 * 1024)):
                pass
        yield
        self._filler.unlink()
        if self._standby.child.poll() is not None:
            self._standby.start()

    def _fill(self) -> None:
        """Have the primary begin another file of its log, which finds no room at the standby."""
        asyncio.run(fetch(self._servers.primary, "SELECT pg_switch_wal()"))
        time.sleep(FILE_SECONDS)

    @contextlib.contextmanager
    def _impatient(self) -> Iterator[None]:
        """Replay that waits for no reader."""
        asyncio.run(configure(self._standby, {"max_standby_streaming_delay": "0"}))
        yield
        asyncio.run(configure(self._standby, {"max_standby_streaming_delay": "'30s'"}))

    def _conflict(self) -> None:
        """Replace every face on the primary, and remove those that a reader of the standby may still see."""
        table = f"facerec.{partition_name('face', 'default')}"
        asyncio.run(fetch(self._servers.primary, f"UPDATE {table} SET external_ref = external_ref"))
        asyncio.run(fetch(self._servers.primary, f"VACUUM {table}"))

    @contextlib.contextmanager
    def _promoted(self) -> Iterator[None]:
        self._standby.promote()
        yield
        kill(self._standby)
        self._standby.erase()  # it is copied again
        self._standby.start()

    @contextlib.contextmanager
    def _other(self) -> Iterator[None]:
        """A server of another system, which has the schema too."""
        with tempfile.TemporaryDirectory(prefix="facerec-test-") as name:
            Path(name).chmod(0o755)
            with EmbeddedPostgres.open(Path(name) / "data") as self._stranger:
                asyncio.run(migrations.migrate(self._stranger.url()))
                yield

    @contextlib.contextmanager
    def _another(self) -> Iterator[None]:
        self._front.lead_to(self._stranger)
        yield
        self._front.lead_to(self._standby)

    @contextlib.contextmanager
    def _cut_off(self) -> Iterator[None]:
        self._front.switch(Mode.BLACK_HOLE)
        yield
        self._front.switch(Mode.PASS)


@contextlib.contextmanager
def stage() -> Iterator[tuple[Cluster, Link, Matchers]]:
    """A cluster, the link in front of its first standby, and matchers that read from it over that link."""
    with (
        cluster() as servers,
        servers.in_front(servers.standbys[0]) as front,
        matchers(servers.url, f"{front.url} {servers.standbys[1].url()}") as running,
    ):
        yield servers, front, running


def run(
    servers: Cluster,
    front: Link,
    running: Matchers,
    *,
    seconds: float,
    seed: int = 0,
    left_out: Collection[str] = (),
) -> Iterator[tuple[str, Seen]]:
    """Make each fault for some seconds at least, and go on until the standby is used again.

    Yields what was seen during each, by its name. Faults of the names `left_out` are not made.
    """
    checks = Checks(itertools.count(seed * SEED_NUMBERS), seed)
    with ThreadPoolExecutor(1) as pool:
        work = pool.submit(asyncio.run, checks.run(running.addresses))
        try:
            for fault in Faults(servers, front).all():
                if fault.name in left_out:
                    continue
                yield fault.name, _inject(fault, checks, running, seconds)
        finally:
            checks.caller.enough.set()
        work.result()


def _inject(fault: Fault, checks: Checks, running: Matchers, seconds: float) -> Seen:
    if fault.name == "disk full" and os.geteuid() != 0:
        return Seen(skipped="only root can mount a small disk")
    seen = Seen()
    with fault.prepared():
        wait_until(lambda: running.read_from(BROKEN))
        calls, failures, stale = checks.caller.calls, checks.caller.failures.copy(), len(checks.outcome.stale)
        reads, fallbacks, excluded = running.reads(), running.fallbacks(), running.excluded()

        def noticed() -> bool:
            new = running.fallbacks() - fallbacks + (running.excluded() - excluded)
            return any(new[reason] for reason in fault.reasons)

        with fault.happen():
            seen.noticed = _go_on(fault.step, seconds, noticed)
        ended = time.monotonic()
        wait_until(lambda: running.read_from(BROKEN))
        seen.back_seconds = time.monotonic() - ended
        seen.calls = checks.caller.calls - calls
        seen.failures = checks.caller.failures - failures
        seen.stale = len(checks.outcome.stale) - stale
        seen.reads, seen.fallbacks = running.reads() - reads, running.fallbacks() - fallbacks
    return seen


def _go_on(step: Callable[[], None], seconds: float, noticed: Callable[[], bool]) -> bool:
    """Do a step again and again for some seconds and until the fault was noticed; returns whether it was."""
    least = time.monotonic() + seconds
    ends = least + LIMIT_SECONDS
    while time.monotonic() < ends:
        step()
        if time.monotonic() > least and noticed():
            return True
        time.sleep(POLL_SECONDS)
    return False


def _counts(counted: collections.Counter[str]) -> str:
    return ", ".join(f"{count:,} {what}" for what, count in counted.items()) or "0"


def _own(path: Path, like: Path | None = None) -> None:
    """Give a file of a standby to the account that runs it, with the rights that Postgres asks for."""
    found = (like or path.parent).stat()
    os.chown(path, found.st_uid, found.st_gid)
    path.chmod(0o700 if path.is_dir() else 0o600)
