"""A child process of the stack, which ends with its parent, and its log."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from facerec.local.account import Account

LOG_BYTES = 4 * 1024 * 1024
TAIL_BYTES, TAIL_LINES = 64 * 1024, 12
_GUARD = Path(__file__).with_name("parent_death_guard.py")


def guarded(
    argv: Sequence[str], *, orphan_signal: signal.Signals = signal.SIGKILL, account: Account | None = None
) -> list[str]:
    """The command line that runs `argv` so that it ends when this process does.

    `orphan_signal` is the signal sent to it then; `account` is the account it runs as, None for this
    process's.
    """
    uid, gid = (account.uid, account.gid) if account else (-1, -1)
    numbers = (os.getpid(), int(orphan_signal), uid, gid)
    return [sys.executable, "-I", "-S", str(_GUARD), *map(str, numbers), *argv]


@dataclass(frozen=True, slots=True)
class Command:
    """A command to run; `orphan_signal` is sent to it when its parent dies."""

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    log_path: Path
    cwd: Path | None = None
    account: Account | None = None
    orphan_signal: signal.Signals = signal.SIGKILL


class Child:
    """A running command whose output goes to `log_path`.

    A log of more than `LOG_BYTES` is rotated to NAME.1, which it replaces: when a process is started, and by
    `rotate_log`. Spawn from the main thread: on Linux a child ends with the thread that spawned it.
    """

    def __init__(self, command: Command, process: subprocess.Popen[bytes], log_start: int) -> None:
        self.command = command
        self._process = process
        self._log_start = log_start

    @classmethod
    def spawn(cls, command: Command) -> Self:
        """Start the command in its own session, so that the terminal's Ctrl-C does not signal it."""
        path = command.log_path
        if path.exists() and path.stat().st_size > LOG_BYTES:
            path.replace(path.with_name(path.name + ".1"))
        with path.open("ab") as log:
            log_start = log.tell()
            process = subprocess.Popen(
                guarded(command.argv, orphan_signal=command.orphan_signal, account=command.account),
                env=dict(command.env),
                cwd=command.cwd,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            return cls(command, process, log_start)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def poll(self) -> int | None:
        """The exit status, negative for a signal; None while it runs."""
        return self._process.poll()

    def send(self, number: signal.Signals) -> None:
        """Send a signal, unless it has ended."""
        self._process.send_signal(number)

    def wait(self, timeout_seconds: float) -> bool:
        """Wait for the process to end; returns False if it still runs after `timeout_seconds`."""
        try:
            self._process.wait(max(timeout_seconds, 0.0))
        except subprocess.TimeoutExpired:
            return False
        return True

    def rotate_log(self) -> None:
        """Rotate the log if it is too large; lines written at that moment may be lost."""
        path = self.command.log_path
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_size > LOG_BYTES:
                shutil.copyfile(path, path.with_name(path.name + ".1"))
                os.truncate(path, 0)  # the process appends, so it continues at the new end
                self._log_start = 0

    def log_excerpt(self) -> str:
        """A text with the path of the log and its last lines."""
        return "\n  ".join([f"its log, {self.command.log_path}, ends:", *self._tail()])

    def last_line(self) -> str:
        """The last line that it wrote."""
        return next((line.strip() for line in reversed(self._tail()) if line.strip()), "it wrote nothing")

    def _tail(self) -> list[str]:
        """The last lines that this process has written; none if the log was deleted."""
        with contextlib.suppress(FileNotFoundError), self.command.log_path.open("rb") as log:
            size = log.seek(0, os.SEEK_END)
            start = self._log_start if self._log_start <= size else 0  # it may have been truncated
            log.seek(max(start, size - TAIL_BYTES))
            return log.read().decode(errors="replace").splitlines()[-TAIL_LINES:]
        return []
