"""Which core runs what: the matcher has one for itself, Postgres and the client share the other."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True)
class Cores:
    """The cores of the matcher, and of everything else. The same one on a machine that has no two."""

    matcher: frozenset[int]
    rest: frozenset[int]

    @classmethod
    def apart(cls) -> "Cores":
        first, *others = sorted(os.sched_getaffinity(0))
        return cls(frozenset({first}), frozenset({others[0] if others else first}))

    @classmethod
    def free(cls) -> "Cores":
        """Nothing is pinned."""
        everywhere = frozenset(os.sched_getaffinity(0))
        return cls(everywhere, everywhere)

    @property
    def both(self) -> frozenset[int]:
        return self.matcher | self.rest


@contextlib.contextmanager
def on(cores: frozenset[int]) -> Iterator[None]:
    """Pin this thread, and the processes that it starts meanwhile, to these cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def pin(pid: int, cores: frozenset[int]) -> None:
    """Move a running process and its children; those to come inherit it."""
    process = psutil.Process(pid)
    for each in [process, *process.children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess):
            for thread in each.threads():
                with contextlib.suppress(ProcessLookupError):
                    os.sched_setaffinity(thread.id, cores)


def cpu_seconds(pid: int) -> float:
    """The CPU time that a process and its children have used so far, those that have ended too."""
    process = psutil.Process(pid)
    ended = process.cpu_times()
    total = ended.children_user + ended.children_system
    for each in [process, *process.children(recursive=True)]:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            nanoseconds = Path(f"/proc/{each.pid}/schedstat").read_text().split()[0]
            total += int(nanoseconds) / 1e9
    return total
