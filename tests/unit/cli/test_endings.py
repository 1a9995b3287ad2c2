"""A command's exit code when its reader leaves or a user interrupts it."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import facerec
from facerec.cli import main

KEY = ("keys", "new", "door", "--role", "verify")


def run_without_reader(*command: str) -> tuple[int, str]:
    """The exit code and what is said on stderr where nobody reads stdout from the beginning."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    finally:
        os.close(writing)
    return done.returncode, done.stderr


@pytest.mark.parametrize("arguments", [KEY, (*KEY, "--json"), ("--help",), ("--version",)], ids=str)
def test_a_command_whose_reader_left_ends_silently_with_0(arguments: tuple[str, ...]) -> None:
    code, said = run_without_reader(sys.executable, "-m", "facerec", *arguments)
    assert (code, "Broken pipe" in said, "Traceback" in said) == (0, False, False)


def test_a_decision_that_nobody_reads_keeps_its_exit_code() -> None:
    script = (
        "import sys; from facerec.cli.terminal import output\n"
        "output.table(('person',), [('ann',)] * 100_000); output.as_json({}); output.line('no match')\n"
        "sys.exit(1)"
    )
    assert run_without_reader(sys.executable, "-c", script) == (1, "")


@contextlib.contextmanager
def silent_service() -> Iterator[tuple[str, threading.Event]]:
    """The address of a service that accepts a connection and answers nothing; set once one came."""
    came, done = threading.Event(), threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def accept() -> None:
            with contextlib.suppress(OSError), listening.accept()[0]:
                came.set()
                done.wait()

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield f"127.0.0.1:{listening.getsockname()[1]}", came
        finally:
            done.set()
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()


@pytest.mark.parametrize("json_flag", [(), ("--json",)], ids=["text", "json"])
@pytest.mark.parametrize("command", ["people", "import", "calibrate"])
def test_an_interruption_is_one_line_and_exit_code_130(
    command: str, json_flag: tuple[str, ...], tmp_path: Path
) -> None:
    source = tmp_path / "in.jsonl"
    source.write_text(json.dumps({"person_id": "ann", "encoding": [0.1] * 128}))
    arguments = [command, *([str(source)] if command == "import" else []), *json_flag]
    with silent_service() as (address, came):
        process = subprocess.Popen(
            [sys.executable, "-m", "facerec", *arguments, "--matcher", address],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert came.wait(60)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
    how_to_ask_again, _, last = err.rpartition("interrupted\n")
    assert (process.returncode, last) == (130, "")
    goes_on = r"what the matcher has begun goes on: .* --request-id [0-9a-f-]{36}\n"
    assert re.fullmatch(goes_on if command == "calibrate" else "", how_to_ask_again)
    assert not json_flag or json.loads(out)["error"]["reason"] == "INTERRUPTED"
    assert json_flag or out == ""


@pytest.mark.parametrize("json_flag", [(), ("--json",)], ids=["text", "json"])
@pytest.mark.parametrize("module", ["typer.core", "rich.console", "facerec.cli.app", "numpy", "grpc"])
def test_an_interruption_while_the_command_is_loading_is_one_line_too(
    module: str, json_flag: tuple[str, ...]
) -> None:
    """Before the first of these Python starts, and loads what answers: until then nobody's code is asked."""
    with silent_service() as (address, _):
        process = subprocess.Popen(
            [sys.executable, "-X", "importtime", "-m", "facerec", "people", "--matcher", address, *json_flag],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stderr is not None
            for line in process.stderr:
                if line.rpartition("|")[2].strip() == module:
                    break
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
    said = [line for line in err.splitlines() if not line.startswith("import time:")]
    assert (process.returncode, said) == (130, ["interrupted"])
    assert not json_flag or json.loads(out)["error"]["reason"] == "INTERRUPTED"
    assert json_flag or out == ""


def test_an_interruption_after_all_output_keeps_the_exit_code() -> None:
    script = (
        "import os, signal, sys; import facerec.__main__\n"
        "sys.argv = ['facerec', '--version']; facerec.__main__.main(); os.kill(os.getpid(), signal.SIGINT)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"facerec {facerec.__version__}\n", "")


def test_a_command_that_is_to_ignore_interruptions_goes_on() -> None:
    script = (
        "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN); import facerec.__main__\n"
        "sys.argv = ['facerec', '--version']; code = facerec.__main__.main()\n"
        "os.kill(os.getpid(), signal.SIGINT); print('went on'); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"facerec {facerec.__version__}\nwent on\n", "")


def test_an_interrupted_question_is_one_line_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object, **__: object) -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("typer.confirm", interrupted)
    assert main(["people", "delete", "ann"]) == 130
    assert capsys.readouterr().err == "interrupted\n"
