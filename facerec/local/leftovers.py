"""What an earlier PostgreSQL left in a cluster after it, or its parent, was killed."""

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
SOCKET_PARENT, SOCKET_PREFIX = Path("/tmp"), "facerec-"  # noqa: S108 - where mkdtemp makes one, for a path too long


def clear(cluster: Path) -> None:
    """End the processes that still serve `cluster` and remove the files that would keep a new one out.

    Call it only while holding the data folder: whatever still runs there is an orphan. An orphaned
    postmaster is asked to shut down (it may be doing so already), then made to.
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
            # Backends notice the death of their postmaster: only the last resort is sent to them too.
            if number == signal.SIGKILL or str(orphan.pid) == lines[0].strip():
                with suppress(psutil.NoSuchProcess):
                    orphan.send_signal(number)
        _wait_until_gone(cluster)
    # The process ids written here may by now be those of other programs, which PostgreSQL takes for itself.
    pid_file.unlink(missing_ok=True)
    if len(lines) >= 5:
        _remove_socket(Path(lines[4]), cluster)


def _wait_until_gone(cluster: Path) -> None:
    deadline = time.monotonic() + SHUTDOWN_SECONDS
    while _serving(cluster) and time.monotonic() < deadline:
        time.sleep(0.05)


def _serving(cluster: Path) -> list[psutil.Process]:
    found = []  # without zombies, which have no folder: whoever adopted them may never reap them
    for process in psutil.process_iter(["name"]):
        if process.info["name"] == "postgres":
            with suppress(psutil.Error):
                if process.cwd() == str(cluster.resolve()):
                    found.append(process)
    return found


def read(path: Path) -> str:
    """The text of a small file that Postgres wrote; "" where there is none, or it is a link, say."""
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
    """Remove the socket of a killed server, and its folder where that was made for it.

    The path is what the cluster's account wrote: for root no reason to remove anything but that account's.
    """
    if folder.parent == SOCKET_PARENT and folder.name.startswith(SOCKET_PREFIX):
        with suppress(OSError):
            found = folder.lstat()
            if stat.S_ISDIR(found.st_mode) and found.st_uid == cluster.stat().st_uid:
                shutil.rmtree(folder, ignore_errors=True)
        return
    for name in (".s.PGSQL.5432", ".s.PGSQL.5432.lock"):
        (cluster / name).unlink(missing_ok=True)
