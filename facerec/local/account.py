"""The account that PostgreSQL runs under: the user's own, or for root a system account."""

import os
import pwd
import shutil
import stat
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from facerec.local.errors import PostgresFailed

NAME = "facerec"


@dataclass(frozen=True, slots=True)
class Account:
    """A user and group id to which a process of root drops its privileges."""

    uid: int
    gid: int

    def can_search(self, folder: Path) -> bool:
        """Whether the account may pass through `folder`, by its mode bits."""
        status = folder.stat()
        if status.st_uid == self.uid:
            return bool(status.st_mode & stat.S_IXUSR)
        if status.st_gid == self.gid:
            return bool(status.st_mode & stat.S_IXGRP)
        return bool(status.st_mode & stat.S_IXOTH)


def choose(cluster: Path) -> Account | None:
    """The account to run PostgreSQL under; None for the user's own.

    PostgreSQL refuses to run as root. Root's server runs as the owner of the cluster if it exists, else as
    the system account `facerec`, which is created if it is missing: a shared account such as `nobody` would
    give its other programs access to the files. Raises PostgresFailed if there is no such account.
    """
    if os.geteuid() != 0:
        return None
    if cluster.exists() and (owner := cluster.stat()).st_uid != 0:
        return Account(owner.st_uid, owner.st_gid)
    return _system_account()


def _system_account() -> Account:
    entry = _find() or _create()
    if entry is None or entry.pw_uid == 0:
        raise PostgresFailed(
            f"PostgreSQL does not run as root, and the system account {NAME!r} could not be created: create "
            f"it (useradd --system {NAME}) or start as an ordinary user"
        )
    return Account(entry.pw_uid, entry.pw_gid)


def _find() -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(NAME)
    except KeyError:
        return None


def _create() -> pwd.struct_passwd | None:
    useradd = shutil.which("useradd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if useradd is None:
        return None
    command = [useradd, "--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent"]
    subprocess.run([*command, "--shell", "/usr/sbin/nologin", NAME], capture_output=True, check=False)
    for _ in range(20):  # another process may be creating it
        if entry := _find():
            return entry
        time.sleep(0.1)
    return None
