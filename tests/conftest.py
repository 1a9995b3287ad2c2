"""Fixtures that every test may use."""

import functools
import gc
import os
import signal
import sys
from collections.abc import Generator, Iterator
from pathlib import Path

import coverage
import pytest
import structlog

from tests.fixtures import forked
from tests.fixtures.process import ServiceProcess

# Before numpy is imported. On more, its idle threads spin, on cores that other tests need.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

if "PYTEST_XDIST_WORKER" in os.environ:
    # Of what a test starts no lines are counted: a command takes longer to be counted than to run.
    os.environ.pop("COVERAGE_PROCESS_START", None)

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # So a shell starts what runs in the background, and commands that are interrupted in a test inherit it.
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Measurements outside of pytest run a service as operators do.
ServiceProcess.start_by_default = staticmethod(forked.start)

pytest_plugins = [
    "tests.fixtures.encoder",
    "tests.fixtures.loops",
    "tests.fixtures.matcher",
    "tests.fixtures.photos",
    "tests.fixtures.postgres",
]


HERE = Path(__file__).parent
# They take longest, much of it waiting for the processes that they start.
LONGEST = (HERE / "soak", HERE / "benchmarks", HERE / "e2e" / "local")
# Before Python 3.12 counting lines takes as long as running them: those of tests that mostly wait for servers
# and databases are left out there. Callers that load servers as fast as they can are never slowed down.
UNCOUNTED = (HERE / "soak", HERE / "benchmarks", *(() if sys.version_info >= (3, 12) else (HERE / "e2e",)))


@functools.cache
def _is_in(folders: tuple[Path, ...], path: Path) -> bool:
    return any(folder in path.parents for folder in folders)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest, so that no worker is left with one at the end."""
    items.sort(key=lambda item: not _is_in(LONGEST, item.path))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Count lines where that is cheap."""
    counting = coverage.Coverage.current() if _is_in(UNCOUNTED, item.path) else None
    if counting is None:
        return (yield)
    counting.stop()
    try:
        return (yield)
    finally:
        counting.start()


def pytest_collection_finish() -> None:
    """Have the collector of garbage pass over what all tests share: modules and the tests themselves."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def default_logs() -> Iterator[None]:
    """Whatever a test configured of logs, the next one's are written to its own output."""
    yield
    structlog.reset_defaults()
