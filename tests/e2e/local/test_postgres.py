"""The embedded PostgreSQL keeps its data through restarts, kills and concurrent starts."""

import os
import stat
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import asyncpg
import psutil
import pytest

from facerec.local import binaries
from facerec.local.errors import FolderInUse, FolderUnusable
from facerec.local.postgres import EmbeddedPostgres
from tests.e2e.local.conftest import Runner
from tests.fixtures.waiting import LIMIT_SECONDS

HOLDER = """
import sys
from pathlib import Path
from facerec.local.postgres import EmbeddedPostgres
with EmbeddedPostgres.open(Path(sys.argv[1])) as server:
    print(server.url(), flush=True)
    sys.stdin.read()  # until the test closes it, or ends
"""
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="concerns a server started by root")


async def write(url: str, value: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
    await connection.execute("CREATE TABLE IF NOT EXISTS kept (value text)")
    await connection.execute("INSERT INTO kept VALUES ($1)", value)
    await connection.close()


async def read(url: str) -> list[str]:
    connection = await asyncpg.connect(url)
    rows = await connection.fetch("SELECT value FROM kept ORDER BY value")
    await connection.close()
    return [row["value"] for row in rows]


def hold(data_dir: Path, runner: Runner) -> tuple["subprocess.Popen[str]", str]:
    holder = runner.start("-c", HOLDER, str(data_dir), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdout is not None
    return holder, holder.stdout.readline().strip()


async def test_data_survives_a_restart_and_nothing_runs_in_between(data_dir: Path) -> None:
    with EmbeddedPostgres.open(data_dir) as server:
        await write(server.url(), "first")
        pid = server.child.pid
    assert not psutil.pid_exists(pid)
    with EmbeddedPostgres.open(data_dir) as server:
        assert await read(server.url()) == ["first"]


def kill_parent(holder: psutil.Process, data_dir: Path) -> None:
    holder.kill()


def kill_everything(holder: psutil.Process, data_dir: Path) -> None:
    for process in [holder, *holder.children(recursive=True)]:
        with suppress(psutil.NoSuchProcess):  # the guard was quicker
            process.kill()


def kill_everything_and_reuse_the_pid(holder: psutil.Process, data_dir: Path) -> None:
    kill_everything(holder, data_dir)
    pid_file = data_dir / "postgres" / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    pid_file.write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n")


@pytest.mark.parametrize("kill", [kill_parent, kill_everything, kill_everything_and_reuse_the_pid])
async def test_a_start_after_a_sigkill_recovers_all_data(
    data_dir: Path, myself: Runner, kill: Callable[[psutil.Process, Path], None]
) -> None:
    holder, url = hold(data_dir, myself)
    with holder:
        await write(url, "committed")
        kill(psutil.Process(holder.pid), data_dir)
    with EmbeddedPostgres.open(data_dir) as server:
        assert await read(server.url()) == ["committed"]


async def test_the_server_ends_when_the_process_that_started_it_is_killed(
    data_dir: Path, myself: Runner
) -> None:
    holder, _ = hold(data_dir, myself)
    with holder:
        servers = psutil.Process(holder.pid).children(recursive=True)
        holder.kill()
    _, alive = psutil.wait_procs(servers, timeout=LIMIT_SECONDS)
    assert servers
    assert not alive


def test_a_second_start_on_the_folder_is_refused_with_the_process_that_uses_it(data_dir: Path) -> None:
    with EmbeddedPostgres.open(data_dir), pytest.raises(FolderInUse) as refusal:
        EmbeddedPostgres.open(data_dir)
    assert str(refusal.value) == f"{data_dir} is already in use by process {os.getpid()}"


async def test_an_ordinary_user_can_run_it(ordinary_user: Runner) -> None:
    holder, url = hold(ordinary_user.home / "data", ordinary_user)
    with holder:
        assert (ordinary_user.home / "data").stat().st_uid != 0
        await write(url, "mine")
        assert await read(url) == ["mine"]


async def test_a_path_too_long_for_a_socket_works(data_dir: Path) -> None:
    with EmbeddedPostgres.open(data_dir / ("d" * 100)) as server:
        await write(server.url(), "far")
        socket_folder = server.socket_folder
        assert stat.S_IMODE(socket_folder.stat().st_mode) == 0o700
    assert not socket_folder.exists()


def test_a_folder_with_other_files_is_refused(data_dir: Path) -> None:
    data_dir.mkdir()
    (data_dir / "thesis.txt").touch()
    with pytest.raises(FolderUnusable, match="not a facerec data folder"):
        EmbeddedPostgres.open(data_dir)


@as_root
def test_root_is_refused_a_folder_in_a_private_parent_whose_permissions_stay(data_dir: Path) -> None:
    parent = data_dir.parent
    parent.chmod(0o700)
    with pytest.raises(FolderUnusable, match=f"^{parent} is private"):
        EmbeddedPostgres.open(data_dir)
    assert stat.S_IMODE(parent.stat().st_mode) == 0o700


@as_root
def test_root_can_run_it_from_a_private_environment(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed = binaries.package()
    with tempfile.TemporaryDirectory() as private:
        for source in (installed, installed.with_name(f"{installed.name}.libs")):
            (Path(private) / source.name).symlink_to(source)
        monkeypatch.setattr(binaries, "package", lambda: Path(private) / installed.name)
        with EmbeddedPostgres.open(data_dir) as server:
            assert Path(psutil.Process(server.child.pid).exe()).is_relative_to(data_dir)
        assert stat.S_IMODE(Path(private).stat().st_mode) == 0o700
