"""The folder that holds all the local stack keeps, claimed by one process at a time."""

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

    The claim is an advisory lock that ends with the process, however it ends.
    """

    def __init__(self, path: Path, lock_fd: int) -> None:
        self.path = path
        self._lock_fd: int | None = lock_fd

    @classmethod
    def claim(cls, path: Path) -> Self:
        """Make the folder if need be and hold it.

        Raises FolderInUse while another process holds it, FolderUnusable where it cannot be written
        or holds something else, or where others could have root write elsewhere by it.
        """
        path = path.expanduser().absolute()
        if why := ownership.why_unsafe(path):
            raise FolderUnusable(
                f"{why}, who could thereby have root write elsewhere: start as that user, or choose a data "
                "folder that root alone can change, such as /var/lib/facerec"
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
        """The log files, one for each process and one of it that was set aside."""
        return self.path / "logs"

    def open_to(self, account: Account) -> None:
        """Let `account` pass through the folder, itself unreadable; nothing above it is changed.

        Raises FolderUnusable where a folder above keeps the account out.
        """
        for parent in reversed(self.path.resolve().parents):
            if not account.can_search(parent):
                raise FolderUnusable(
                    f"{parent} is private, and PostgreSQL, which does not run as root, would have to pass "
                    "through it: choose a data folder elsewhere, such as /var/lib/facerec"
                )
        if not account.can_search(self.path):
            self.path.chmod(self.path.stat().st_mode & 0o7777 | 0o011)

    def release(self) -> None:
        """Give the claim up."""
        if self._lock_fd is not None:
            os.ftruncate(self._lock_fd, 0)
            os.close(self._lock_fd)
            self._lock_fd = None


def _open_lock(path: Path) -> int:
    """Open a file of one's own, made if need be, and nothing that a link leads to. Raises OSError."""
    lock_fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    found = os.fstat(lock_fd)
    if stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid():
        return lock_fd
    os.close(lock_fd)
    raise PermissionError(errno.EPERM, f"{path.name} is not a file of this user")
