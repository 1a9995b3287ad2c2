"""Backs up the database of the embedded PostgreSQL to one file, and restores it."""

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from facerec import ownership
from facerec.local import binaries, database, leftovers, postgres
from facerec.local.child import guarded
from facerec.local.errors import BackupFailed, FolderInUse
from facerec.local.postgres import EmbeddedPostgres

_MAGIC = b"PGDMP"  # the first bytes of pg_dump's custom format
_SCHEMA_ENTRY = b" SCHEMA - facerec "  # in the backup's table of contents


def backup(data_dir: Path, target: Path) -> int:
    """Write the database of a data folder to a new file of mode 0600; returns its size in bytes.

    The stack may be running: the file is one consistent snapshot. Raises BackupFailed, FolderUnusable,
    PostgresFailed.
    """
    data_dir = data_dir.expanduser().absolute()
    if os.path.lexists(target):
        raise BackupFailed(f"{target} exists: name another file")
    if not leftovers.read(data_dir / "postgres" / "PG_VERSION"):
        raise BackupFailed(f"{data_dir} holds no database: name the data folder of `facerec up` by --data")
    with _new_file(target) as file, _serving(data_dir) as url:
        _run("pg_dump", "--format=custom", "--no-statistics", f"--dbname={url}", stdout=file)
        return os.fstat(file.fileno()).st_size


def restore(data_dir: Path, source: Path, *, replace: bool = False) -> None:
    """Restore a backup into a data folder, created if it is missing, whose stack does not run.

    With `replace` an existing database is erased once the backup is completely restored; without, it is an
    error. Raises BackupFailed, FolderInUse, FolderUnusable, PostgresFailed.
    """
    with _backup_file(source) as file:
        listed = _run("pg_restore", "--list", stdin=file)
        if _SCHEMA_ENTRY not in listed:
            raise BackupFailed(f"{source} is not a backup of a facerec database")
        file.seek(0)
        with EmbeddedPostgres.open(data_dir) as server:
            url = database.create_restored(server, replace=replace)
            try:
                _run("pg_restore", "--exit-on-error", f"--dbname={url}", stdin=file)
            except BaseException:
                database.drop_restored(server)
                raise
            database.replace_by_restored(server)


@contextlib.contextmanager
def _new_file(target: Path) -> Iterator[IO[bytes]]:
    """A file that gets its name once it is completely written; it never replaces another."""
    name = ""
    try:
        descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}-")  # of mode 0600
        with os.fdopen(descriptor, "wb") as file:
            yield file
            os.fsync(file.fileno())
        os.link(name, target)  # fails if the name exists
    except OSError as error:
        raise BackupFailed(f"cannot write {target}: {error.strerror}") from None
    finally:
        if name:
            Path(name).unlink(missing_ok=True)


@contextlib.contextmanager
def _backup_file(source: Path) -> Iterator[IO[bytes]]:
    if why := ownership.why_unsafe(source):
        raise BackupFailed(f"{why}, who could make root's database run what is in it")
    try:
        file = source.open("rb", buffering=0)  # unbuffered: pg_restore reads from the same position
    except OSError as error:
        raise BackupFailed(f"cannot read {source}: {error.strerror}") from None
    with file:
        if file.read(len(_MAGIC)) != _MAGIC:
            raise BackupFailed(f"{source} is not a file that `facerec backup` wrote")
        file.seek(0)
        yield file


@contextlib.contextmanager
def _serving(data_dir: Path) -> Iterator[str]:
    """The URL of the database: at the running stack's server, or at one started for this."""
    try:
        server = EmbeddedPostgres.open(data_dir)
    except FolderInUse as error:
        lines = leftovers.read(data_dir / "postgres" / "postmaster.pid").splitlines()
        if len(lines) < 5:
            raise BackupFailed(f"{error}, whose PostgreSQL is not running yet: try again") from None
        yield postgres.url(Path(lines[4]), database.NAME)
    else:
        with server:
            yield server.url(database.NAME)


def _run(
    program: str, *arguments: str, stdin: IO[bytes] | None = None, stdout: IO[bytes] | None = None
) -> bytes:
    """Run a program of PostgreSQL, which ends when this process does; returns its stdout."""
    path = binaries.package() / binaries.INSTALL / "bin" / program
    done = subprocess.run(
        guarded([str(path), *arguments]),
        env=postgres.environment(),
        stdin=stdin or subprocess.DEVNULL,
        stdout=stdout or subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        check=False,
    )
    if done.returncode != 0:
        lines = done.stderr.decode(errors="replace").splitlines()
        # The lines after the error may quote rows.
        raise BackupFailed(next((line for line in lines if "error:" in line), f"{program} failed"))
    return done.stdout or b""
