"""Cleans up what an earlier PostgreSQL left in a cluster when it, or its parent, was killed."""

import os
import shutil
import signal
import stat
import time
from contextlib import suppress
from pathlib import Path

import psutil

SHUTDOWN_SECONDS = 5.0
READ_BYTES = 65536
SOCKET_PARENT, SOCKET_PREFIX = Path("/tmp"), "facerec-"  # noqa: S108 - where mkdtemp creates one if the cluster's path is too long


def clear(cluster: Path) -> None:
    """End the processes that still serve `cluster`, and remove the files that would keep a new server from
    it.

    Call it only while holding the data folder: any process that still runs there is an orphan. An orphaned
    postmaster is asked to shut down (it may be doing so already), and then killed.
    """
    pid_file = cluster / "postmaster.pid"
    lines = read(pid_file).splitlines()
    if not lines:
        pid_file.unlink(missing_ok=True)
        return
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        orphans = _serving(cluster)
        if not orphans:
            break
        for orphan in orphans:
            # Backends notice when their postmaster ends; only SIGKILL is sent to them too.
            if number == signal.SIGKILL or str(orphan.pid) == lines[0].strip():
                with suppress(psutil.NoSuchProcess):
                    orphan.send_signal(number)
        _wait_until_gone(cluster)
    # The process id in the file may by now be another program's, which PostgreSQL would take for its own.
    pid_file.unlink(missing_ok=True)
    if len(lines) >= 5:
        _remove_socket(Path(lines[4]), cluster)


def _wait_until_gone(cluster: Path) -> None:
    deadline = time.monotonic() + SHUTDOWN_SECONDS
    while _serving(cluster) and time.monotonic() < deadline:
        time.sleep(0.05)


def _serving(cluster: Path) -> list[psutil.Process]:
    found = []  # without zombies, which have no working folder and may never be reaped
    for process in psutil.process_iter(["name"]):
        if process.info["name"] == "postgres":
            with suppress(psutil.Error):
                if process.cwd() == str(cluster.resolve()):
                    found.append(process)
    return found


def read(path: Path) -> str:
    """The text of a small regular file that PostgreSQL wrote; "" if there is none."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return ""
    with os.fdopen(descriptor, "rb") as file:
        return (
            file.read(READ_BYTES).decode(errors="replace")
            if stat.S_ISREG(os.fstat(descriptor).st_mode)
            else ""
        )


def _remove_socket(folder: Path, cluster: Path) -> None:
    """Remove the socket of a killed server, and its folder if that was created for it.

    The path was written by the cluster's account, so root removes only what that account owns.
    """
    if folder.parent == SOCKET_PARENT and folder.name.startswith(SOCKET_PREFIX):
        with suppress(OSError):
            found = folder.lstat()
            if stat.S_ISDIR(found.st_mode) and found.st_uid == cluster.stat().st_uid:
                shutil.rmtree(folder, ignore_errors=True)
        return
    for name in (".s.PGSQL.5432", ".s.PGSQL.5432.lock"):
        (cluster / name).unlink(missing_ok=True)
