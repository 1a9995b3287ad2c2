"""Two releases over one database: it is migrated and each matcher replaced under load, there and back.

The newer release is this one and a migration more, of the kind that serves both.
"""

import dataclasses
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from facerec.local.postgres import EmbeddedPostgres
from matcher_service.postgres import migrations
from tests.fixtures.process import ROOT, ServiceProcess
from tests.fixtures.waiting import wait_until
from tests.soak.service.load import Load, Seen, seen
from tests.soak.service.stack import DRAIN, Loop

STEPS = 8
PACKAGES = ("facerec", "matcher_service")
# What an expanding migration may do: a column with a default, a table, a new version of a function.
EXPANDING = """-- serves: {serves}
ALTER TABLE facerec.person ADD note text NOT NULL DEFAULT '';
ALTER TABLE facerec.collection ADD note text NOT NULL DEFAULT '';
CREATE TABLE facerec.note (note_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, text text NOT NULL);
GRANT SELECT, INSERT ON facerec.note TO facerec_serve;
CREATE OR REPLACE FUNCTION facerec.request_tag(request_id text) RETURNS bytea
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN sha256(convert_to(request_id, 'UTF8'));
"""


@dataclasses.dataclass(frozen=True)
class Upgraded:
    """What callers saw; `versions` of the schema before and after, `refusals` of it that matchers logged."""

    versions: tuple[int, int]
    seen: Seen
    enrolled: int
    lost: int
    refusals: int

    @property
    def passed(self) -> bool:
        """Whether no call failed."""
        return not (self.lost or self.seen.failures or self.seen.wrong or self.refusals)


class Matcher:
    """A matcher at an address that it keeps when another release takes its place."""

    def __init__(self, release: Path, database_url: str, *flags: str) -> None:
        database = ("--database-url", database_url, "--encoder-address", "127.0.0.1:1")
        self._flags = (*DRAIN, *database, "--log-calls", "all", *flags)
        self.processes = [ServiceProcess("matcher_service", *self._flags, folder=release)]
        self.address = self.processes[0].address
        self.processes[0].event("database_ready")

    def replace(self, release: Path) -> None:
        """Stop it gracefully, and start another release at its address."""
        assert self.processes[-1].stop() == 0
        process = ServiceProcess("matcher_service", *self._flags, address=self.address, folder=release)
        self.processes.append(process)
        process.event("database_ready")
        wait_until(lambda: any('"event": "call"' in line for line in tuple(process.lines)))

    def refusals(self) -> int:
        """How often it found that it cannot use the database."""
        return sum("database_check_failed" in line for each in self.processes for line in tuple(each.lines))


def upgrade(*flags: str, calls: int, pause_seconds: float = 0.02, older_commit: str = "") -> Upgraded:
    """Go from a release to the next and back while so many calls are made, as many before each step.

    The matchers have these flags; between two calls of a caller there are `pause_seconds`.
    """
    with _folder() as folder:
        older = _checked_out(older_commit, folder / "older") if older_commit else ROOT
        newer = _next_release(folder / "newer")
        with EmbeddedPostgres.open(folder / "data") as postgres:
            before = _migrate(older, postgres.url())
            matchers = [Matcher(older, postgres.url(), *flags) for _ in range(2)]
            try:
                return _roll(
                    matchers,
                    (older, newer),
                    postgres.url(),
                    before=before,
                    calls=calls,
                    pause_seconds=pause_seconds,
                )
            finally:
                for matcher in matchers:
                    if matcher.processes[-1].process.poll() is None:
                        matcher.processes[-1].stop()


def _roll(
    matchers: list[Matcher],
    releases: tuple[Path, Path],
    database_url: str,
    *,
    before: int,
    calls: int,
    pause_seconds: float,
) -> Upgraded:
    older, newer = releases
    share = -(-calls // STEPS)
    loop = Loop()
    target = "ipv4:" + ",".join(each.address for each in matchers)
    load = Load(target, None, pause_seconds=pause_seconds)
    loop.run(load.start())
    began = time.monotonic()
    try:
        _wait_for(load, share)
        after = _migrate(newer, database_url)
        for release in (newer, older):
            _wait_for(load, share)
            for matcher in matchers:
                matcher.replace(release)
                _wait_for(load, share)
        # A job of the older release, started again by its roll-out, has nothing to do.
        assert _migrate(older, database_url) <= after
        _wait_for(load, share)
    finally:
        loop.run(load.stop())
        ended = time.monotonic()
    lost = loop.run(load.lost())
    loop.stop()
    refusals = sum(matcher.refusals() for matcher in matchers)
    return Upgraded(
        (before, after), seen(load.answers, began, ended), len(load.enrolled), len(lost), refusals
    )


def _wait_for(load: Load, calls: int) -> None:
    """Wait until so many more calls were made."""
    enough = len(load.answers) + calls
    wait_until(lambda: len(load.answers) >= enough)


@contextmanager
def _folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="facerec-soak-"))
    folder.chmod(0o755)  # under root Postgres runs as another user, which must enter it
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _next_release(folder: Path) -> Path:
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    head = migrations.head()
    file = folder / "matcher_service" / "postgres" / "schema" / f"{head + 1:04d}_next.sql"
    serves = max(each.serves_from for each in migrations.available())
    file.write_text(EXPANDING.format(serves=serves))
    return folder


def _checked_out(commit: str, folder: Path) -> Path:
    archive = subprocess.run(
        ["git", "archive", commit, *PACKAGES], cwd=ROOT, check=True, capture_output=True
    ).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(folder, filter="data")
    return folder


def _migrate(release: Path, database_url: str) -> int:
    """Migrate by a release, and return the schema that it needs, which the command prints last."""
    command = [sys.executable, "-m", "matcher_service", "migrate"]
    environment = os.environ | {"MATCHER_DATABASE_URL": database_url}
    ran = subprocess.run(command, cwd=release, env=environment, check=True, capture_output=True)
    return int(ran.stdout.split()[-1])
