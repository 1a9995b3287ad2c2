"""What an earlier PostgreSQL left in a cluster after it, or its parent, was killed."""

import shutil
import signal
import time
from contextlib import suppress
from pathlib import Path

import psutil

SHUTDOWN_SECONDS = 5.0


def clear(cluster: Path) -> None:
    """End the processes that still serve `cluster` and remove the files that would keep a new one out.

    Call it only while holding the data folder: whatever still runs there is an orphan. An orphaned
    postmaster is asked to shut down (it may be doing so already), then made to.
    """
    pid_file = cluster / "postmaster.pid"
    if not pid_file.exists():
        return
    lines = pid_file.read_text().splitlines()
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
    # The process ids written here may by now be those of strangers, which PostgreSQL takes for itself.
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


def _remove_socket(folder: Path, cluster: Path) -> None:
    if folder.name.startswith("facerec-") and folder != cluster:
        shutil.rmtree(folder, ignore_errors=True)
        return
    for name in (".s.PGSQL.5432", ".s.PGSQL.5432.lock"):
        (cluster / name).unlink(missing_ok=True)
