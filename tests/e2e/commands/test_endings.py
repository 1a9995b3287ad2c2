"""How the services end by signals: while they import and load, while they serve, and while they end."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from encoder_service.embedding.dlib_weights import cache, files
from tests.fixtures.encoder import EncoderProcess
from tests.fixtures.matcher import MatcherProcess
from tests.fixtures.process import ROOT
from tests.fixtures.waiting import LIMIT_SECONDS, wait_until

NO_DATABASE = "postgresql://facerec@127.0.0.1:1/facerec"

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads handlers in /proc")


def handles(pid: int, number: signal.Signals) -> bool:
    """Whether a process has a handler: for the first process of a container the default is to ignore."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (caught,) = (int(line.split()[1], 16) for line in lines if line.startswith("SigCgt:"))
    return bool(caught >> (number - 1) & 1)


@pytest.mark.parametrize(
    ("command", "number", "code"),
    [
        (["encoder_service", "serve"], signal.SIGTERM, 0),
        (["matcher_service", "serve"], signal.SIGINT, 0),
        (["matcher_service", "maintain"], signal.SIGTERM, 0),
        (["matcher_service", "migrate"], signal.SIGTERM, 128 + signal.SIGTERM),
    ],
)
def test_a_signal_during_the_imports_ends_a_command_without_a_traceback(
    command: list[str], number: signal.Signals, code: int
) -> None:
    started = [sys.executable, "-m", *command, "--database-url", NO_DATABASE]
    with subprocess.Popen(started, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        wait_until(
            lambda: handles(process.pid, signal.SIGTERM)
        )  # the last one set; Python sets SIGINT's itself
        process.send_signal(number)
        _, said = process.communicate(timeout=LIMIT_SECONDS)
    assert (process.returncode, said) == (code, "")


def test_an_encoder_that_loads_its_models_ends_at_once(tmp_path: Path) -> None:
    resnet = files.read(files.find(None, large_landmarks=False).resnet)
    os.mkfifo(cache.entry_path(tmp_path, resnet))  # a process that reads it waits for a writer
    process = EncoderProcess(cache=tmp_path)
    try:
        with cache.entry_path(tmp_path, resnet).open("wb"):  # it is being read, without an end
            assert process.stop() == 0
    finally:
        process.kill()
    assert not any('"models_loaded"' in line for line in process.lines)


def test_a_second_signal_ends_a_service_that_waits_for_its_calls() -> None:
    process = MatcherProcess(NO_DATABASE, "--drain-seconds", "300")
    try:
        assert process.address
        process.process.send_signal(signal.SIGINT)
        process.event("stopping")
        wait_until(lambda: handles(process.process.pid, signal.SIGTERM))
        assert process.stop() == 128 + signal.SIGTERM
    finally:
        process.kill()
