"""A watched process's actions are recorded, and its connections do not leave the machine."""

import os
import socket
import struct
import sys
from pathlib import Path

import pytest

from tests.fixtures.watching.watcher import CannotWatch, Watch

QUERY = struct.pack("!6H", 1, 256, 1, 0, 0, 0) + b"\x07faceres\x07example\0" + struct.pack("!2H", 1, 1)


def watched(code: str, folder: Path) -> tuple[Watch, int]:
    """Run Python's `code` in `folder` to its end."""
    watch = Watch()
    try:
        process = watch.start([sys.executable, "-I", "-S", "-c", code], cwd=folder)
    except CannotWatch as error:
        pytest.skip(f"this machine does not let processes be watched: {error}")
    status = process.wait(60)
    watch.end()
    assert not watch.unreadable
    return watch, status


@pytest.mark.parametrize(
    ("family", "host"),
    [("AF_INET", "192.0.2.1"), ("AF_INET6", "2001:db8::1"), ("AF_INET6", "::ffff:192.0.2.1")],
)
def test_a_connection_to_another_machine_is_recorded_and_refused(
    tmp_path: Path, family: str, host: str
) -> None:
    code = f"import socket, sys; sys.exit(socket.socket(socket.{family}).connect_ex(({host!r}, 443)))"
    watch, status = watched(code, tmp_path)
    assert watch.remote == {f"{host.removeprefix('::ffff:')}:443"}
    assert os.strerror(status) == "Network is unreachable"


def test_a_datagram_to_another_machine_is_recorded_and_refused(tmp_path: Path) -> None:
    code = "import socket; socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('192.0.2.1', 514))"
    watch, status = watched(code, tmp_path)
    assert watch.remote == {"192.0.2.1:514"}
    assert status == 1


def test_a_name_lookup_is_recorded_wherever_the_name_server_is(tmp_path: Path) -> None:
    code = (
        "import socket; asking = socket.socket(type=socket.SOCK_DGRAM); "
        f"asking.connect(('192.0.2.53', 53)); asking.send({QUERY!r})"
    )
    watch, status = watched(code, tmp_path)
    assert (watch.names, watch.remote, status) == ({"faceres.example"}, set(), 0)


def test_connections_on_this_machine_pass(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with socket.create_server(("127.0.0.1", 0)) as near, socket.socket(socket.AF_UNIX) as nearer:
        nearer.bind(path)
        nearer.listen()
        port = near.getsockname()[1]
        watch, status = watched(
            f"import socket; socket.create_connection(('127.0.0.1', {port})); "
            f"socket.socket(socket.AF_UNIX).connect({path!r})",
            tmp_path,
        )
    assert (watch.peers, watch.remote, status) == ({f"127.0.0.1:{port}", path}, set(), 0)


def test_files_written_by_a_process_and_its_children_are_recorded_and_files_read_are_not(
    tmp_path: Path,
) -> None:
    (tmp_path / "read").touch()
    code = (
        "import os; open('read').close(); os.mkdir('made'); open('made/new', 'w').close(); "
        "os.rename('made/new', 'renamed'); os.chdir('made'); "
        "os.spawnl(os.P_WAIT, '/bin/sh', 'sh', '-c', 'echo > child')"
    )
    watch, status = watched(code, tmp_path)
    assert status == 0
    assert watch.written == {str(tmp_path / name) for name in ("made", "made/new", "renamed", "made/child")}
