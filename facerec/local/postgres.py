"""PostgreSQL 18 with pgvector, run as a child process over a data folder."""

import contextlib
import os
import shutil
import signal
import stat
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from facerec.local import account, binaries, leftovers
from facerec.local.child import Child, Command
from facerec.local.errors import FolderUnusable, PostgresFailed
from facerec.local.folder import DataFolder

START_SECONDS = 120.0  # replaying the write-ahead log of a killed server can take long
STOP_SECONDS = 3.0
PORT = "5432"  # only part of the socket's name; nothing listens on TCP
_SOCKET_PATH_BYTES = 103  # the limit of macOS, the shortest of the supported systems
_SETTINGS = (
    "listen_addresses=",
    "unix_socket_permissions=0700",
    "log_checkpoints=off",
    # Errors reach the client; their details would put person ids into the log.
    "log_min_messages=log",
    "log_error_verbosity=terse",
    # If statements are logged, then without their parameters, which are vectors and names.
    "log_parameter_max_length=0",
    "log_parameter_max_length_on_error=0",
)
_INITDB_OPTIONS = (
    *("-U", "postgres", "--auth-local=trust", "--auth-host=reject", "--encoding=UTF8"),
    # The collation must not change with the system's C library, or indexes on text would break.
    *("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
)


class EmbeddedPostgres:
    """A PostgreSQL server that listens only on a Unix socket, in a folder that only its owner can enter.

    Connections are trusted: any user who can enter the folder can use the server. The server ends with this
    process, and a start cleans up after a killed one. Start it from the main thread.
    """

    def __init__(self, folder: DataFolder) -> None:
        self._folder = folder
        self._cluster = folder.cluster
        self.socket_folder = folder.cluster
        self._child: Child | None = None

    @classmethod
    def open(cls, data_dir: Path) -> Self:
        """Claim `data_dir`, created if it is missing, and start its server.

        Raises FolderInUse, FolderUnusable, PostgresFailed.
        """
        server = cls(DataFolder.claim(data_dir))
        try:
            server.start()
        except BaseException:
            server.stop()
            raise
        return server

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def name(self) -> str:
        """The name to show to users."""
        return "PostgreSQL"

    @property
    def child(self) -> Child:
        """The server's process."""
        assert self._child is not None, "not started"
        return self._child

    def start(self) -> None:
        """Create the cluster if it is missing, clean up after an earlier server, and start."""
        user = account.choose(self._cluster)
        if user is not None:
            self._folder.open_to(user)
        programs = binaries.locate(self._folder, user)
        if not self._cluster.exists():
            self._create(programs, user)
        self._check_version()
        leftovers.clear(self._cluster)
        self._make_socket_folder(user)
        settings = [f"unix_socket_directories={self.socket_folder}", *_SETTINGS, *self._more_settings()]
        self._child = Child.spawn(
            Command(
                name="postgres",
                argv=(
                    *(str(programs / "postgres"), "-D", str(self._cluster), "-p", PORT),
                    *(part for setting in settings for part in ("-c", setting)),
                ),
                env=environment(),
                log_path=self._folder.logs / "postgres.log",
                cwd=self._cluster,
                account=user,
                orphan_signal=signal.SIGINT,
            )
        )
        self._wait_until_ready()

    def url(self, database: str = "postgres", user: str = "postgres") -> str:
        """The connection URL of a database, for asyncpg and libpq."""
        return url(self.socket_folder, database, user)

    def stop(self) -> None:
        """Stop the server within about `STOP_SECONDS`, without loss of data, and release the folder."""
        if self._child is not None:
            for number, seconds in (
                (signal.SIGINT, STOP_SECONDS),
                (signal.SIGQUIT, 1.0),
                (signal.SIGKILL, 1.0),
            ):
                self._child.send(number)
                if self._child.wait(seconds):
                    break
            self._child = None
        if self.socket_folder != self._cluster:
            shutil.rmtree(self.socket_folder, ignore_errors=True)
        self._folder.release()

    def _more_settings(self) -> list[str]:
        """Settings of the server besides _SETTINGS, as NAME=VALUE."""
        return []

    def _create(self, programs: Path, user: account.Account | None) -> None:
        unfinished = self._cluster.with_name("postgres.new")  # renamed when complete
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        if user is not None:
            os.chown(unfinished, user.uid, user.gid)
        self._fill(programs, user, unfinished)
        unfinished.rename(self._cluster)

    def _fill(self, programs: Path, user: account.Account | None, folder: Path) -> None:
        """Create the cluster in an empty folder. Raises PostgresFailed."""
        self._run(programs, user, folder, "initdb", "-D", str(folder), *_INITDB_OPTIONS)

    def _run(
        self, programs: Path, user: account.Account | None, folder: Path, program: str, *arguments: str
    ) -> None:
        """Run one of PostgreSQL's programs on a cluster's folder. Raises PostgresFailed."""
        child = Child.spawn(
            Command(
                name=program,
                argv=(str(programs / program), *arguments),
                env=environment(),
                log_path=self._folder.logs / f"{program}.log",
                cwd=folder,
                account=user,
            )
        )
        if not child.wait(START_SECONDS) or child.poll() != 0:
            child.send(signal.SIGKILL)
            raise PostgresFailed(f"{program} failed in {folder}: {child.last_line()}")

    def _check_version(self) -> None:
        version = leftovers.read(self._cluster / "PG_VERSION").strip()[:20] or "an unknown version"
        if version != str(binaries.MAJOR_VERSION):
            raise FolderUnusable(
                f"{self._cluster} was created by PostgreSQL {version}, and this release runs "
                f"{binaries.MAJOR_VERSION}: restore a backup into a new data folder"
            )

    def _make_socket_folder(self, user: account.Account | None) -> None:
        """Create the socket's folder; a restart uses the same one, because clients have its URL."""
        if self.socket_folder == self._cluster:
            if len(os.fsencode(self._cluster)) + len(f"/.s.PGSQL.{PORT}") <= _SOCKET_PATH_BYTES:
                return
            self.socket_folder = Path(
                tempfile.mkdtemp(prefix=leftovers.SOCKET_PREFIX, dir=leftovers.SOCKET_PARENT)
            )
        else:
            self._make_socket_folder_again(user)
        if user is not None:
            os.chown(self.socket_folder, user.uid, user.gid, follow_symlinks=False)

    def _make_socket_folder_again(self, user: account.Account | None) -> None:
        """Create the folder again if it is gone. Raises PostgresFailed if another user has created it."""
        with contextlib.suppress(FileExistsError):
            self.socket_folder.mkdir(mode=0o700)
        found, owner = self.socket_folder.lstat(), user.uid if user else os.geteuid()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid not in (owner, os.geteuid()):
            raise PostgresFailed(f"{self.socket_folder} belongs to user {found.st_uid}: remove it")

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self.child.poll() is not None:
                raise PostgresFailed(f"PostgreSQL did not start: {self.child.last_line()}")
            if time.monotonic() > deadline:
                raise PostgresFailed(
                    f"PostgreSQL was not ready after {START_SECONDS:.0f} s: see {self.child.command.log_path}"
                )
            time.sleep(0.01)

    def _answers(self) -> bool:
        lines = leftovers.read(self._cluster / "postmaster.pid").splitlines()
        return len(lines) >= 8 and lines[0] == str(self.child.pid) and lines[7].strip() == "ready"


def url(socket_folder: Path, database: str = "postgres", user: str = "postgres") -> str:
    """The URL of a database whose server has its socket in a folder.

    It sets every option that variables such as PGSSLMODE, meant for other servers, could change.
    """
    query = f"host={quote(str(socket_folder))}&port={PORT}&sslmode=disable&target_session_attrs=any"
    return f"postgresql://{quote(user)}@/{quote(database)}?{query}"


def environment() -> dict[str, str]:
    """The environment of PostgreSQL's programs: without variables that choose a server or a language."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_", "LANG"))}
    return kept | {"LC_ALL": "C"}
