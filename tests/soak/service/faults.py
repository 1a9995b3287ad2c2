"""One fault after another under load: failures, wrong decisions, and the time until recovery."""

import contextlib
import dataclasses
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg

from facerec.client import Encoding, MatcherClient, Security
from facerec.errors import FacerecError, Reason
from matcher_service.postgres.statements import partition_name
from tests.soak.service.load import RETRYABLE, SPACE, Load, Seen, seen, vector
from tests.soak.service.proxy import FaultProxy, Mode
from tests.soak.service.stack import Stack

CALM_SECONDS = 1.0
RECOVERY_SECONDS = 10.0  # most until all is well again
DISK_MIB = 64
FILLING_CALLS = 50

Happen = Callable[[Stack], contextlib.AbstractContextManager[Callable[[], bool]]]


@dataclasses.dataclass(frozen=True)
class Fault:
    """Something that breaks for a while. `happen` is a context; it yields a way to prove that it fired."""

    name: str
    happen: Happen
    may_fail: bool = True
    expected_reasons: frozenset[Reason] = RETRYABLE
    seconds: float | None = None


@dataclasses.dataclass(frozen=True)
class Result:
    """The outcome of a fault."""

    fault: Fault
    fired: bool
    seen: Seen
    lost: int

    @property
    def passed(self) -> bool:
        """Whether only permitted failures happened, and recovery was quick."""
        return self.correct and self.seen.recovery_seconds <= RECOVERY_SECONDS

    @property
    def correct(self) -> bool:
        """Whether only permitted failures happened, however long recovery took."""
        failed_where_it_may = self.fault.may_fail or not self.seen.failures
        expected = set(self.seen.failures) <= self.fault.expected_reasons
        return self.fired and expected and not self.seen.wrong and failed_where_it_may and not self.lost


@contextlib.contextmanager
def _matcher_killed(stack: Stack) -> Iterator[Callable[[], bool]]:
    old = stack.matchers[0].pid
    stack.matchers[0].kill()
    yield lambda: stack.matchers[0].pid != old
    stack.matchers[0].start()


@contextlib.contextmanager
def _encoder_killed(stack: Stack) -> Iterator[Callable[[], bool]]:
    old = stack.encoders[0].pid
    stack.encoders[0].kill()
    yield lambda: stack.encoders[0].pid != old
    stack.encoders[0].start()


@contextlib.contextmanager
def _postgres_killed(stack: Stack) -> Iterator[Callable[[], bool]]:
    old = stack.postgres.child.pid
    stack.signal_postgres(signal.SIGKILL)
    assert stack.postgres.child.wait(10)
    yield lambda: stack.postgres.child.pid != old
    stack.postgres.start()


@contextlib.contextmanager
def _postgres_frozen(stack: Stack) -> Iterator[Callable[[], bool]]:
    stack.signal_postgres(signal.SIGSTOP)
    states: set[str] = set()
    try:
        yield lambda: states == {"stopped"}
    finally:
        states |= {process.status() for process in stack.postgres_processes()[1:]}
        stack.signal_postgres(signal.SIGCONT)


def _network(proxy: Callable[[Stack], FaultProxy], mode: Mode) -> Happen:
    @contextlib.contextmanager
    def happen(stack: Stack) -> Iterator[Callable[[], bool]]:
        before = proxy(stack).touched
        stack.loop.run(proxy(stack).switch(mode))
        try:
            yield lambda: proxy(stack).touched > before
        finally:
            stack.loop.run(proxy(stack).switch(Mode.PASS))

    return happen


@contextlib.contextmanager
def _locked(stack: Stack) -> Iterator[Callable[[], bool]]:
    """A lock on everybody: calls wait for it until no connection is left, and are then refused."""
    table = partition_name("person", "default")
    waited: list[int] = []

    async def lock() -> asyncpg.Connection:
        connection = await asyncpg.connect(stack.database_url)
        await connection.execute(f"BEGIN; LOCK TABLE facerec.{table} IN ACCESS EXCLUSIVE MODE")
        return connection

    async def unlock(connection: asyncpg.Connection) -> None:
        waited.append(await connection.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"))
        await connection.execute("ROLLBACK")
        await connection.close()

    held = stack.loop.run(lock())
    try:
        yield lambda: waited[0] > 0
    finally:
        stack.loop.run(unlock(held))


@contextlib.contextmanager
def _disk_full(stack: Stack) -> Iterator[Callable[[], bool]]:
    """New faces go to a small file system, which is full."""
    room = stack.folder / "room"
    room.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "tmpfs", str(room)], check=True)
    space, table = room / "space", partition_name("face", "default")
    space.mkdir()
    owner = (stack.folder / "data" / "postgres").stat()
    os.chown(space, owner.st_uid, owner.st_gid)

    async def execute(*statements: str) -> None:
        connection = await asyncpg.connect(stack.database_url)
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    move = f"ALTER TABLE facerec.{table} SET TABLESPACE"
    stack.loop.run(execute(f"CREATE TABLESPACE small LOCATION '{space}'", f"{move} small"))
    filler = space / "filler"
    free = shutil.disk_usage(space).free
    filler.write_bytes(bytes(free))
    try:
        refused = _enroll_until_refused(stack.matchers[0].address)
        yield lambda: refused is Reason.STORE_UNAVAILABLE
    finally:
        filler.unlink()
        stack.loop.run(execute(f"{move} pg_default", "CHECKPOINT", "DROP TABLESPACE small"))
        subprocess.run(["umount", "-l", str(room)], check=True)


def _enroll_until_refused(address: str) -> Reason | None:
    """Enroll many faces at once, until the table needs a page more than there is room for."""
    with MatcherClient(address) as client:
        for call in range(FILLING_CALLS):
            seeds = range(10**6 + 64 * call, 10**6 + 64 * (call + 1))
            try:
                client.enroll(f"filling {call}", *(Encoding(vector(seed), SPACE) for seed in seeds))
            except FacerecError as error:
                return error.reason
    return None


def can_mount(folder: Path) -> bool:
    """Whether a small file system can be made here."""
    mount_point = folder / "probe"
    mount_point.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(mount_point)], capture_output=True, check=False
    )
    if done.returncode == 0:
        subprocess.run(["umount", str(mount_point)], check=True)
    mount_point.rmdir()
    return done.returncode == 0


def _database(stack: Stack) -> FaultProxy:
    return stack.to_database


def _encoder(stack: Stack) -> FaultProxy:
    return stack.to_encoder


FAULTS = {
    fault.name: fault
    for fault in (
        Fault("matcher killed", _matcher_killed, may_fail=False),
        Fault("encoder killed", _encoder_killed, may_fail=False),
        Fault("Postgres killed", _postgres_killed),
        Fault("Postgres frozen", _postgres_frozen, seconds=20.0),
        Fault("database connections reset", _network(_database, Mode.RESET)),
        Fault("database black-holed", _network(_database, Mode.BLACK_HOLE)),
        Fault("database delayed", _network(_database, Mode.DELAY)),
        Fault("database half open", _network(_database, Mode.HALF_OPEN)),
        Fault("encoder connections reset", _network(_encoder, Mode.RESET)),
        Fault("encoder black-holed", _network(_encoder, Mode.BLACK_HOLE)),
        Fault("lock held, pool exhausted", _locked),
        Fault("disk full", _disk_full),
    )
}


def inject(
    stack: Stack, fault: Fault, photo: Path, *, seconds: float, security: Security | None = None
) -> Result:
    """Cause a fault for a while under load, and wait for recovery."""
    load = Load(stack.target, photo, security=security)
    stack.loop.run(load.start())
    try:
        time.sleep(CALM_SECONDS)
        began = time.monotonic()
        with fault.happen(stack) as fired:
            time.sleep(seconds)
            ended = time.monotonic()
        proof = fired()
        settled = time.monotonic()
        time.sleep(CALM_SECONDS)
        while seen(load.answers, began, ended).recovery_seconds + ended > time.monotonic() - CALM_SECONDS:
            if time.monotonic() > settled + 3 * RECOVERY_SECONDS:
                break
            time.sleep(0.2)
    finally:
        stack.loop.run(load.stop())
    # A process that is started again counts from when it was.
    found = seen(load.answers, began, max(ended, settled))
    return Result(fault, proof, found, len(stack.loop.run(load.lost())))
