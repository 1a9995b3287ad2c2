"""The data folder of the local stack, claimed by one process at a time."""

import errno
import fcntl
import os
import stat
from pathlib import Path
from typing import Self

from facerec import ownership
from facerec.local.account import Account
from facerec.local.errors import FolderInUse, FolderUnusable


class DataFolder:
    """A claimed data folder: `postgres/` is the cluster, `logs/` the logs, `lock` the claim.

    The claim is an advisory lock, which the system releases when the process ends.
    """

    def __init__(self, path: Path, lock_fd: int) -> None:
        self.path = path
        self._lock_fd: int | None = lock_fd

    @classmethod
    def claim(cls, path: Path) -> Self:
        """Claim the folder; it is created if it is missing.

        Raises FolderInUse while another process holds it, FolderUnusable if it cannot be written or
        contains something else, or if other users could make root write elsewhere through it.
        """
        path = path.expanduser().absolute()
        if why := ownership.why_unsafe(path):
            raise FolderUnusable(
                f"{why}, who could make root write elsewhere through it: start as that user, or choose a "
                "data folder that only root can change, such as /var/lib/facerec"
            )
        try:
            if not path.exists():
                path.mkdir(parents=True)
                path.chmod(0o700)
            elif not (path / "lock").exists() and any(path.iterdir()):
                raise FolderUnusable(
                    f"{path} is not empty and not a facerec data folder: name a new or an empty one"
                )
            lock_fd = _open_lock(path / "lock")
        except OSError as error:
            raise FolderUnusable(f"cannot use {path} as data folder: {error.strerror}") from error
        try:
            fcntl.flock(lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(lock_fd, 32, 0).decode().strip() or "unknown"
            os.close(lock_fd)
            raise FolderInUse(f"{path} is already in use by process {holder}") from None
        os.ftruncate(lock_fd, 0)
        os.pwrite(lock_fd, str(os.getpid()).encode(), 0)
        folder = cls(path, lock_fd)
        folder.logs.mkdir(mode=0o700, exist_ok=True)
        return folder

    @property
    def cluster(self) -> Path:
        """The PostgreSQL cluster."""
        return self.path / "postgres"

    @property
    def logs(self) -> Path:
        """The folder of the log files: one for each process, and its rotated one."""
        return self.path / "logs"

    def open_to(self, account: Account) -> None:
        """Let `account` traverse the folder, without reading it; no folder above is changed.

        Raises FolderUnusable if the account cannot traverse a folder above.
        """
        for parent in reversed(self.path.resolve().parents):
            if not account.can_search(parent):
                raise FolderUnusable(
                    f"{parent} is private, and PostgreSQL, which does not run as root, would have to "
                    "traverse it: choose a data folder elsewhere, such as /var/lib/facerec"
                )
        if not account.can_search(self.path):
            self.path.chmod(self.path.stat().st_mode & 0o7777 | 0o011)

    def release(self) -> None:
        """Release the claim."""
        if self._lock_fd is not None:
            os.ftruncate(self._lock_fd, 0)
            os.close(self._lock_fd)
            self._lock_fd = None


def _open_lock(path: Path) -> int:
    """Open or create a file of this user; does not follow a link. Raises OSError."""
    lock_fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    found = os.fstat(lock_fd)
    if stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid():
        return lock_fd
    os.close(lock_fd)
    raise PermissionError(errno.EPERM, f"{path.name} is not a file of this user")
