"""Two matchers and two encoders over one Postgres, each at an address that it keeps when it is replaced."""

import asyncio
import contextlib
import shutil
import signal
import tempfile
import threading
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import psutil

from tests.fixtures.clusters import open_migrated
from tests.fixtures.process import ROOT, ServiceProcess
from tests.soak.service.proxy import FaultProxy

T = TypeVar("T")
DRAIN = ("--drain-seconds", "0.5", "--grace-seconds", "10")
MATCHER = (*DRAIN, "--lock-timeout-seconds", "1", "--statement-timeout-seconds", "4", "--pool-max-size", "4")
ENCODER = (*DRAIN, "--model-cache-dir", str(ROOT / ".cache" / "models"), "--threads", "1")


class Replica:
    """A service's process, which is restarted at the same address."""

    def __init__(self, module: str, ready: str, *flags: str) -> None:
        self._module, self._ready, self._flags = module, ready, flags
        self.process = ServiceProcess(module, *flags)
        self.address = self.process.address
        self.process.event(ready)

    @property
    def pid(self) -> int:
        """The process that runs now."""
        return self.process.process.pid

    def kill(self) -> None:
        """End it as kill -9 does."""
        self.process.kill()

    def start(self) -> None:
        """Start it again, and wait until it can do its work."""
        self.process = ServiceProcess(self._module, *self._flags, address=self.address)
        self.process.event(self._ready)

    def replace(self) -> None:
        """Stop it gracefully and start it again."""
        assert self.process.stop() == 0
        self.start()

    def stop(self) -> None:
        """End it, whatever state it is in."""
        if self.process.process.poll() is None:
            self.process.stop()


class Loop:
    """An event loop on a thread of its own, for what goes on while the main thread breaks things."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run it there and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def stop(self) -> None:
        """End the loop."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class Stack:
    """Everything, opened from the main thread: Postgres ends with the thread that started it."""

    def __init__(self, folder: Path, matcher: tuple[str, ...], encoder: tuple[str, ...]) -> None:
        self.folder = folder
        self.loop = Loop()
        self.postgres = open_migrated(folder / "data")
        self.database_url = self.postgres.url()
        self.encoders = [Replica("encoder_service", "serving", *ENCODER, *encoder) for _ in range(2)]
        self.to_database, self.to_encoder = self.loop.run(self._proxies())
        database = f"postgresql://postgres@127.0.0.1:{self.ports[0]}{self._database_name()}"
        flags = (*MATCHER, "--database-url", database, "--encoder-address", f"127.0.0.1:{self.ports[1]}")
        self.matchers = [Replica("matcher_service", "database_ready", *flags, *matcher) for _ in range(2)]

    async def _proxies(self) -> tuple[FaultProxy, FaultProxy]:
        socket = Path(self.database_url.partition("host=")[2].partition("&")[0]) / ".s.PGSQL.5432"
        places = iter(range(1_000_000_000))

        async def to_encoder() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
            """The encoders in turn, skipping one that is down."""
            first = next(places)
            for turn in range(2):
                host, _, port = self.encoders[(first + turn) % 2].address.rpartition(":")
                with contextlib.suppress(OSError):
                    return await asyncio.open_connection(host, int(port))
            raise OSError

        database = FaultProxy(lambda: asyncio.open_unix_connection(str(socket)))
        encoder = FaultProxy(to_encoder)
        self.ports = await database.start(), await encoder.start()
        return database, encoder

    def _database_name(self) -> str:
        return "/" + self.database_url.partition("@/")[2].partition("?")[0]

    @classmethod
    @contextlib.contextmanager
    def open(cls, *, matcher: tuple[str, ...] = (), encoder: tuple[str, ...] = ()) -> Iterator["Stack"]:
        """A stack in a folder of its own, which goes with it."""
        folder = Path(tempfile.mkdtemp(prefix="facerec-soak-"))
        folder.chmod(0o755)  # under root Postgres runs as another user, which must enter it
        try:
            stack = cls(folder, matcher, encoder)
            try:
                yield stack
            finally:
                stack.stop()
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    @property
    def target(self) -> str:
        """Both matchers, for a client that goes round them."""
        return "ipv4:" + ",".join(replica.address for replica in self.matchers)

    def postgres_processes(self) -> list[psutil.Process]:
        """Every process of the server."""
        postmaster = psutil.Process(self.postgres.child.pid)
        return [postmaster, *postmaster.children(recursive=True)]

    def signal_postgres(self, number: signal.Signals) -> None:
        """Send all of them a signal."""
        for process in self.postgres_processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    def internal_errors(self) -> list[str]:
        """The log lines of faults that were not foreseen."""
        replicas = (*self.matchers, *self.encoders)
        return [line for each in replicas for line in tuple(each.process.lines) if "internal_error" in line]

    def stop(self) -> None:
        """Stop all gracefully."""
        replicas = (*self.matchers, *self.encoders)
        with ThreadPoolExecutor(len(replicas)) as pool:  # each waits until its callers have noticed
            list(pool.map(Replica.stop, replicas))
        self.loop.run(self.to_database.stop())
        self.loop.run(self.to_encoder.stop())
        self.loop.stop()
        self.postgres.stop()
