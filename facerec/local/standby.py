"""A streaming standby of an embedded PostgreSQL, on the same machine."""

import shutil
from pathlib import Path
from typing import Self

from facerec.local import account, binaries, leftovers
from facerec.local.folder import DataFolder
from facerec.local.postgres import PORT, START_SECONDS, EmbeddedPostgres


class EmbeddedStandby(EmbeddedPostgres):
    """A server that copies a running embedded server, follows it, and answers reads.

    It is a copy: `copy` replaces whatever the folder held by a base backup of the primary. It connects to the
    primary under the name `number` gives it (`application_name`), which `synchronous_standby_names` of the
    primary may list.
    """

    def __init__(self, folder: DataFolder, primary: EmbeddedPostgres, number: int = 1) -> None:
        """`folder` is a claimed data folder of its own, `number` tells the standbys of a primary apart."""
        super().__init__(folder)
        self._primary = primary
        self._number = number

    @classmethod
    def copy(cls, data_dir: Path, primary: EmbeddedPostgres, number: int = 1) -> Self:
        """Copy a running primary into `data_dir` and start; what the folder held is erased.

        Raises FolderInUse, FolderUnusable, PostgresFailed.
        """
        standby = cls(DataFolder.claim(data_dir), primary, number)
        try:
            standby.erase()
            standby.start()
        except BaseException:
            standby.stop()
            raise
        return standby

    @property
    def name(self) -> str:
        """The name to show to users."""
        return f"PostgreSQL {self.application_name}"

    @property
    def application_name(self) -> str:
        """The name by which the primary knows it."""
        return f"standby{self._number}"

    def erase(self) -> None:
        """Erase the copy of a server that does not run."""
        if self._cluster.exists():
            leftovers.clear(self._cluster)
            shutil.rmtree(self._cluster)

    def follow(self, primary: EmbeddedPostgres) -> None:
        """Follow another primary from the next start on, such as a standby that was promoted."""
        self._primary = primary

    def promote(self) -> None:
        """Make it a primary; returns once it accepts writes. Raises PostgresFailed."""
        user = account.choose(self._cluster)
        programs = binaries.locate(self._folder, user)
        waiting = ("-w", "-t", f"{START_SECONDS:.0f}")
        self._run(programs, user, self._cluster, "pg_ctl", "promote", "-D", str(self._cluster), *waiting)

    def _more_settings(self) -> list[str]:
        connection = {
            "host": str(self._primary.socket_folder),
            "port": PORT,
            "user": "postgres",
            "application_name": self.application_name,
        }
        text = " ".join(f"{name}={_quoted(value)}" for name, value in connection.items())
        return [f"primary_conninfo={text}"]

    def _fill(self, programs: Path, user: account.Account | None, folder: Path) -> None:
        source = ("-h", str(self._primary.socket_folder), "-p", PORT, "-U", "postgres")
        options = ("--wal-method=stream", "--checkpoint=fast", "--write-recovery-conf")
        self._run(programs, user, folder, "pg_basebackup", "-D", str(folder), *source, *options)
        # A backup leaves out sockets, but not the lock of the primary's, which is in its cluster.
        (folder / f".s.PGSQL.{PORT}.lock").unlink(missing_ok=True)


def copy_folder(data_dir: Path, number: int) -> Path:
    """The folder of a standby of the server in `data_dir`."""
    return data_dir / f"standby-{number}"


def remove_copies(data_dir: Path) -> None:
    """Remove the standbys' folders in `data_dir`, which hold copies of all data; ends orphaned servers.

    Raises FolderInUse while another process uses one, and FolderUnusable.
    """
    for path in data_dir.glob("standby-*"):
        folder = DataFolder.claim(path)
        try:
            if folder.cluster.exists():
                leftovers.clear(folder.cluster)
        finally:
            folder.release()
        shutil.rmtree(path)


def _quoted(value: str) -> str:
    """A value of a connection string, quoted as libpq reads it."""
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
