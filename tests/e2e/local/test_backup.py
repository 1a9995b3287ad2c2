"""`facerec backup` and `facerec restore`: the database in one file, and back."""

import asyncio
import os
import pwd
import random
import shutil
import signal
import stat
import subprocess
from pathlib import Path

import asyncpg
import pytest

from facerec.client import MatcherClient
from facerec.local import backup, database
from facerec.local.errors import BackupFailed
from facerec.local.postgres import EmbeddedPostgres
from tests.e2e.local.conftest import Runner
from tests.e2e.local.test_up import ANN, end_politely, running
from tests.fixtures.waiting import LIMIT_SECONDS, until, wait_until

FACEREC = ("-c", "import sys; from facerec.cli import main; sys.exit(main())")


def ran(runner: Runner, *arguments: object) -> tuple[int, str, str]:
    """The exit code of a command, and what it said to stdout and to stderr."""
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with runner.start(*FACEREC, *map(str, arguments), **options) as process:
        said, complaint = process.communicate(timeout=LIMIT_SECONDS)
    return process.returncode, said, complaint


def note(data_dir: Path, text: str) -> None:
    """Store a text in the database of a data folder, which is created quickly."""
    with EmbeddedPostgres.open(data_dir) as server:
        url = database.create(server)
        make = "CREATE SCHEMA IF NOT EXISTS facerec; CREATE TABLE IF NOT EXISTS facerec.note (text text)"
        asyncio.run(execute(url, f"{make}; INSERT INTO facerec.note VALUES ('{text}')"))


def noted(data_dir: Path) -> tuple[list[str], list[str]]:
    """The texts that are kept, and the databases that there are."""
    with EmbeddedPostgres.open(data_dir) as server:
        texts = asyncio.run(fetch(server.url(database.NAME), "SELECT text FROM facerec.note ORDER BY 1"))
        return texts, asyncio.run(
            fetch(server.url(), "SELECT datname FROM pg_database WHERE datname ~ 'face'")
        )


async def execute(url: str, statements: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(statements)
    await connection.close()


async def fetch(url: str, query: str) -> list[str]:
    connection = await asyncpg.connect(url)
    rows = await connection.fetch(query)
    await connection.close()
    return [row[0] for row in rows]


async def there_is(url: str, query: str) -> bool:
    return bool(await fetch(url, query))


def test_people_are_verified_again_after_their_folder_was_lost_and_restored(
    data_dir: Path, myself: Runner
) -> None:
    file = data_dir.with_name("gallery.backup")
    with running(myself, data_dir) as up, MatcherClient(up.matcher) as matcher:
        before = matcher.enroll("ann", ANN, display_name="Ann").faces
        code, said, _ = ran(myself, "backup", file, "--data", data_dir)
        assert (code, said) == (
            0,
            f"{file.stat().st_size:,} bytes written to {file}; protect it like passwords\n",
        )
        code, _, complaint = ran(myself, "restore", file, "--data", data_dir, "--replace")
        assert (code, complaint.splitlines()) == (
            2,
            [f"error: {data_dir} is already in use by process {up.process.pid}"],
        )
        matcher.enroll("late", ANN)
        end_politely(up)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    shutil.rmtree(data_dir)
    assert ran(myself, "restore", file, "--data", data_dir)[0] == 0
    with running(myself, data_dir) as up, MatcherClient(up.matcher) as matcher:
        found = matcher.verify("ann", ANN)
        assert (found.match, found.nearest_face_id) == (True, before[0].face.face_id)
        assert [person.display_name for person in matcher.list_persons()] == ["Ann"]
        matcher.enroll("bob", ANN)
        end_politely(up)


def test_an_existing_database_is_replaced_only_when_asked_for(data_dir: Path) -> None:
    file = data_dir.with_name("gallery.backup")
    note(data_dir, "first")
    backup.backup(data_dir, file)
    note(data_dir, "second")
    with pytest.raises(BackupFailed, match=r"there is a database in this data folder: .*--replace"):
        backup.restore(data_dir, file)
    assert noted(data_dir) == (["first", "second"], ["facerec"])
    backup.restore(data_dir, file, replace=True)
    assert noted(data_dir) == (["first"], ["facerec"])


def test_a_backup_that_cannot_be_restored_leaves_the_database_as_it_was(data_dir: Path) -> None:
    file, cut = data_dir.with_name("gallery.backup"), data_dir.with_name("cut.backup")
    note(data_dir, random.Random(1).randbytes(20_000).hex())
    size_bytes = backup.backup(data_dir, file)
    note(data_dir, "second")
    cut.write_bytes(file.read_bytes()[: size_bytes // 2])
    before = noted(data_dir)
    with pytest.raises(BackupFailed, match="pg_restore: error: could not read from input file"):
        backup.restore(data_dir, cut, replace=True)
    assert noted(data_dir) == before


def test_leftovers_of_a_killed_restore_are_erased_at_the_next_start(data_dir: Path) -> None:
    note(data_dir, "first")
    with EmbeddedPostgres.open(data_dir) as server:
        database.create_restored(server, replace=True)
    note(data_dir, "second")
    assert noted(data_dir) == (["first", "second"], ["facerec"])


def test_no_existing_file_is_overwritten(data_dir: Path) -> None:
    file = data_dir.with_name("gallery.backup")
    note(data_dir, "first")
    file.write_text("kept")
    with pytest.raises(BackupFailed, match=f"{file} exists"):
        backup.backup(data_dir, file)
    assert file.read_text() == "kept"
    with pytest.raises(BackupFailed, match=r"cannot write .*: No such file or directory"):
        backup.backup(data_dir, data_dir.with_name("nowhere") / "gallery.backup")


def test_a_folder_without_a_database_is_reported_and_none_is_created(data_dir: Path, myself: Runner) -> None:
    code, _, complaint = ran(myself, "backup", data_dir.with_name("file"), "--data", data_dir)
    assert (code, complaint) == (
        2,
        f"error: {data_dir} holds no database: name the data folder of `facerec up` by --data\n",
    )
    assert not data_dir.exists()


@pytest.mark.parametrize("content", [b"", b"PGDMP", b"-- PostgreSQL database dump\n", None])
def test_a_file_that_is_no_backup_is_refused_and_changes_nothing(
    data_dir: Path, content: bytes | None
) -> None:
    file = data_dir.with_name("file")
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(BackupFailed, match=rf"{file}|pg_restore: error: "):
        backup.restore(data_dir, file)
    assert not data_dir.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="concerns a restore by root")
def test_root_restores_no_file_that_another_user_could_change(data_dir: Path) -> None:
    file = data_dir.with_name("gallery.backup")
    note(data_dir, "first")
    backup.backup(data_dir, file)
    os.chown(file, pwd.getpwnam("nobody").pw_uid, -1)
    with pytest.raises(BackupFailed, match=rf"{file} belongs to user \d+ and not to root"):
        backup.restore(data_dir, file, replace=True)


def test_an_interrupted_backup_leaves_no_file(data_dir: Path, myself: Runner) -> None:
    folder = data_dir.with_name("backups")
    folder.mkdir(mode=0o700)
    note(data_dir, "first")
    with EmbeddedPostgres.open(data_dir) as server:
        waiting = "SELECT 'lock' FROM pg_stat_activity WHERE wait_event_type = 'Lock'"

        async def end_while_it_waits() -> int:
            connection = await asyncpg.connect(server.url(database.NAME))
            async with connection.transaction():
                await connection.execute("LOCK TABLE facerec.note")
                command = [*FACEREC, "backup", str(folder / "file"), "--data", str(data_dir)]
                process = await asyncio.to_thread(myself.start, *command)
                await until(lambda: there_is(server.url(), waiting))
                assert list(folder.iterdir())
                process.send_signal(signal.SIGTERM)
                code = await asyncio.to_thread(process.wait, LIMIT_SECONDS)
            await connection.close()
            return code

        assert asyncio.run(end_while_it_waits()) == 130
        assert not list(folder.iterdir())
        ended = "SELECT 'alive' FROM pg_stat_activity WHERE application_name = 'pg_dump'"
        wait_until(lambda: not asyncio.run(fetch(server.url(), ended)))
