"""`facerec up` starts the whole stack, keeps it running, and stops all of it."""

import json
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.request import Request, urlopen

import numpy as np
import psutil
import pytest

from facerec.client import Encoding, MatcherClient
from facerec.local import binaries
from facerec.local.folder import DataFolder
from facerec.local.postgres import EmbeddedPostgres
from tests.e2e.gateway.rekognition.calling import ACCESS_KEY, SECRET, call
from tests.e2e.gateway.rekognition.conftest import write_keys
from tests.e2e.local.conftest import Runner
from tests.fixtures.waiting import LIMIT_SECONDS, wait_until

UP = ("-c", "import sys; from facerec.cli import main; sys.exit(main())", "up")
ANY_PORTS = tuple(
    part for name in ("encoder", "matcher", "gateway") for part in (f"--{name}-address", "127.0.0.1:0")
)
READY = re.compile(r"ready: encoder (\S+), matcher (\S+), gateway http://(\S+); try: \S.* enroll ")
ANN = Encoding(np.full(128, 0.1, np.float32), "dlib-resnet-v1/small/150x0.25")


@dataclass
class Up:
    """A running `facerec up`."""

    process: "subprocess.Popen[str]"
    encoder: str
    matcher: str
    gateway: str
    stderr_lines: list[str]

    def everything(self) -> list[psutil.Process]:
        supervisor = psutil.Process(self.process.pid)
        return [supervisor, *supervisor.children(recursive=True)]

    def child(self, mark: str) -> psutil.Process:
        """The supervisor's child with `mark` in its command line."""
        children = psutil.Process(self.process.pid).children()
        [found] = [child for child in children if mark in " ".join(child.cmdline())]
        return found


@contextmanager
def running(runner: Runner, data_dir: Path, *options: str) -> Iterator[Up]:
    process = runner.start(
        *UP, "--data", str(data_dir), *ANY_PORTS, *options, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    stderr_lines: list[str] = []
    listener = threading.Thread(target=stderr_lines.extend, args=(process.stderr,))
    listener.start()
    try:
        with process.stdout:
            found = READY.match(process.stdout.readline())
            assert found, stderr_lines
            yield Up(process, found[1], found[2], found[3], stderr_lines)
    finally:
        process.terminate()
        process.wait(LIMIT_SECONDS)
        listener.join()
        process.stderr.close()


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    return [
        process for process in processes if process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    ]


def end_politely(up: Up) -> None:
    processes = up.everything()
    up.process.send_signal(signal.SIGINT)
    assert up.process.wait(LIMIT_SECONDS) == 0
    assert not alive(processes)


def kill_everything(up: Up) -> None:
    for process in up.everything():
        with suppress(psutil.NoSuchProcess):  # the guard was quicker
            process.kill()


def kill_the_supervisor(up: Up) -> None:
    orphans = up.everything()[1:]
    up.process.kill()
    wait_until(lambda: not alive(orphans))


def test_people_are_kept_however_the_stack_ended_and_copies_of_standbys_go_with_a_stack_without(
    data_dir: Path, myself: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One stack after the other over the same data, as each start costs seconds of a core."""
    standby = data_dir / "standby-1"
    access_keys = write_keys(tmp_path / "access-keys.toml", {ACCESS_KEY: SECRET})
    monkeypatch.setenv("GATEWAY_REKOGNITION_KEYS_FILE", str(access_keys))
    with running(myself, data_dir, "--compreface") as up, MatcherClient(up.matcher) as matcher:
        matcher.enroll("ann", ANN)
        with urlopen(f"http://{up.gateway}/v1/persons/ann") as answer:
            assert json.load(answer)["person"]["faceCount"] == 1
        assert up.process.stdout is not None
        assert up.process.stdout.readline() == f"console: http://{up.gateway}/console/\n"
        subjects = Request(f"http://{up.gateway}/api/v1/recognition/subjects", headers={"x-api-key": "any"})
        with urlopen(subjects) as answer:
            assert json.load(answer) == {"subjects": ["ann"]}
        users = call(up.gateway, "ListUsers", CollectionId="default")["Users"]
        assert users == [{"UserId": "ann", "UserStatus": "ACTIVE"}]
        end_politely(up)
    with running(myself, data_dir, "--standbys", "2") as up, MatcherClient(up.matcher) as matcher:
        assert matcher.verify("ann", ANN).match
        assert [path.name for path in sorted(data_dir.glob("standby-*"))] == ["standby-1", "standby-2"]
        assert matcher.identify(ANN).faces[0].candidates[0].person_id == "ann"
        kill_and_await(up, str(standby), "PostgreSQL standby1 was ended by SIGKILL: starting it again")
        wait_until((standby / "postgres" / "postmaster.pid").exists)
        kill_everything(up)
    assert (standby / "postgres").exists()
    for end in (kill_the_supervisor, end_politely):
        with running(myself, data_dir) as up, MatcherClient(up.matcher) as matcher:
            assert matcher.verify("ann", ANN).match
            assert matcher.identify(ANN).faces[0].candidates[0].person_id == "ann"
            end(up)
    assert not standby.exists()


def kill_and_await(up: Up, mark: str, notice: str) -> None:
    up.child(mark).kill()
    wait_until(lambda: f"{notice}\n" in up.stderr_lines)
    wait_until(lambda: has_child(up, mark))


def test_an_ordinary_user_can_run_the_stack(ordinary_user: Runner) -> None:
    with running(ordinary_user, ordinary_user.home / "data") as up:
        uids = {process.uids().real for process in up.everything()}
        with MatcherClient(up.matcher) as matcher:
            matcher.enroll("ann", ANN)
        end_politely(up)
    assert uids == {ordinary_user.home.stat().st_uid}


def has_child(up: Up, mark: str) -> bool:
    try:
        up.child(mark)
    except (ValueError, psutil.Error):
        return False
    return True


def refusal(runner: Runner, *options: str) -> str:
    """The stderr of `facerec up` when it refuses with exit code 2."""
    process = runner.start(*UP, *options, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        said, complaint = process.communicate(timeout=LIMIT_SECONDS)
    finally:
        process.kill()
    assert (process.returncode, said) == (2, "")
    [line] = complaint.splitlines()
    return line


def test_a_taken_port_is_reported_in_one_line(data_dir: Path, myself: Runner) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        line = refusal(myself, "--data", str(data_dir), *ANY_PORTS[:2], "--matcher-address", address)
    assert (
        line
        == f"error: cannot listen on {address}: Address already in use: name another with --matcher-address"
    )


def test_a_folder_in_use_is_reported_in_one_line_with_the_process(data_dir: Path, myself: Runner) -> None:
    folder = DataFolder.claim(data_dir)
    holder = (data_dir / "lock").read_text()
    line = refusal(myself, "--data", str(data_dir), *ANY_PORTS)
    folder.release()
    assert line == f"error: {data_dir} is already in use by process {holder}"


def test_an_address_beyond_loopback_needs_a_flag(data_dir: Path, myself: Runner) -> None:
    line = refusal(myself, "--data", str(data_dir), *ANY_PORTS[2:], "--encoder-address", "0.0.0.0:0")
    assert "pass --insecure" in line


def test_a_database_that_does_not_answer_is_reported_in_one_line(data_dir: Path, myself: Runner) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    line = refusal(
        myself,
        "--data",
        str(data_dir),
        *ANY_PORTS,
        "--database-url",
        f"postgresql://u:secret@127.0.0.1:{port}/d",
    )
    assert line.startswith("error: cannot connect to the database: ")
    assert "secret" not in line


def test_up_serves_with_a_given_database(data_dir: Path, myself: Runner) -> None:
    with EmbeddedPostgres.open(data_dir) as server:
        options = ("--database-url", server.url())
        with (
            running(myself, data_dir.with_name("stack"), *options) as up,
            MatcherClient(up.matcher) as matcher,
        ):
            matcher.enroll("ann", ANN)
            assert not has_child(up, "postgres")


def test_a_database_without_pgvector_is_reported_in_one_line(
    data_dir: Path, myself: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = binaries.package()
    with tempfile.TemporaryDirectory() as private:
        bare = Path(private) / installed.name
        shutil.copytree(installed / binaries.INSTALL, bare / binaries.INSTALL, symlinks=True)
        shutil.copytree(installed.with_name(f"{installed.name}.libs"), bare.with_name(f"{bare.name}.libs"))
        [control] = bare.rglob("vector.control")
        control.unlink()
        monkeypatch.setattr(binaries, "package", lambda: bare)
        with EmbeddedPostgres.open(data_dir) as server:
            line = refusal(
                myself, "--data", str(data_dir.with_name("stack")), *ANY_PORTS, "--database-url", server.url()
            )
            doctor = ("-m", "matcher_service", "doctor", "--database-url", server.url())
            with myself.start(*doctor, stdout=subprocess.PIPE) as process:
                seen, _ = process.communicate(timeout=LIMIT_SECONDS)
    assert re.match(r"error: this Postgres server \(18.*\) has no pgvector: install pgvector 0\.8\.4", line)
    assert "postgresql-18-pgvector" in line
    assert line.removeprefix("error: ") in seen, "doctor says what migrating would"
