"""A child process of the stack: it cannot outlive its parent, and its output cannot fill the disk."""

import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self

from facerec.local.account import Account

LOG_BYTES = 4 * 1024 * 1024
TAIL_LINES = 12
_GUARD = Path(__file__).with_name("parent_death_guard.py")


def guarded(
    argv: Sequence[str], *, orphan_signal: signal.Signals = signal.SIGKILL, account: Account | None = None
) -> list[str]:
    """The command line by which `argv` is run so that it ends when this process does.

    `orphan_signal` is sent to it then; `account` is whom it runs as, None for this process's own.
    """
    uid, gid = (account.uid, account.gid) if account else (-1, -1)
    numbers = (os.getpid(), int(orphan_signal), uid, gid)
    return [sys.executable, "-I", "-S", str(_GUARD), *map(str, numbers), *argv]


@dataclass(frozen=True, slots=True)
class Command:
    """What to run: `orphan_signal` is sent to it when its parent dies."""

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    log_path: Path
    cwd: Path | None = None
    account: Account | None = None
    orphan_signal: signal.Signals = signal.SIGKILL


class Child:
    """A running command, its output kept in `log_path` and one older file of `LOG_BYTES` each.

    Spawn from the main thread: on Linux a child ends with the thread that spawned it.
    """

    def __init__(self, command: Command, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        self.command = command
        self._process = process
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._pump = threading.Thread(target=self._keep, args=(process.stdout,), daemon=True)
        self._pump.start()

    @classmethod
    def spawn(cls, command: Command) -> Self:
        """Start the command in its own session, out of reach of the terminal's Ctrl-C."""
        process = subprocess.Popen(
            guarded(command.argv, orphan_signal=command.orphan_signal, account=command.account),
            env=dict(command.env),
            cwd=command.cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        return cls(command, process)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def poll(self) -> int | None:
        """Return the exit status, negative for a signal, or None while it runs."""
        status = self._process.poll()
        if status is not None:
            self._pump.join(1.0)  # so that its last words are heard
        return status

    def send(self, number: signal.Signals) -> None:
        """Send a signal, unless it has ended."""
        self._process.send_signal(number)

    def wait(self, timeout_seconds: float) -> bool:
        """Wait for the end; False when it still runs after `timeout_seconds`."""
        try:
            self._process.wait(max(timeout_seconds, 0.0))
        except subprocess.TimeoutExpired:
            return False
        self._pump.join(1.0)
        return True

    def last_words(self) -> str:
        """Say where its log is and how it ends, one line of it under another."""
        return "\n  ".join([f"its log, {self.command.log_path}, ends:", *self._tail])

    def last_line(self) -> str:
        """Return the last line it wrote."""
        return next((line.strip() for line in reversed(self._tail) if line.strip()), "it said nothing")

    def _keep(self, output: IO[bytes]) -> None:
        path = self.command.log_path
        log = path.open("ab", buffering=0)
        with output:
            for line in iter(lambda: output.readline(65536), b""):
                if log.tell() + len(line) > LOG_BYTES:
                    log.close()
                    path.replace(path.with_name(path.name + ".1"))
                    log = path.open("ab", buffering=0)
                log.write(line)
                self._tail.append(line.decode(errors="replace").rstrip())
        log.close()
