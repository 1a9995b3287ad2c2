"""Services that end are restarted, up to a limit."""

import json
import os
import signal
import sys
from pathlib import Path

import psutil
import pytest

from facerec.local import service, supervisor
from facerec.local.child import LOG_BYTES, Child, Command
from facerec.local.errors import ServiceFailed
from facerec.local.service import CommandService
from facerec.local.supervisor import Supervisor
from tests.fixtures.waiting import LIMIT_SECONDS, wait_until


def command(code: str, folder: Path) -> Command:
    return Command("greeter", (sys.executable, "-c", code), dict(os.environ), folder / "greeter.log")


def test_a_killed_service_is_restarted_and_a_message_says_so(tmp_path: Path) -> None:
    messages: list[str] = []
    greeter = CommandService(command("import time; time.sleep(3600)", tmp_path))
    greeter.start()
    watching = Supervisor(messages.append)
    watching.add(greeter)
    first = greeter.child
    first.send(signal.SIGKILL)

    def started_again() -> bool:
        watching.tick()
        return greeter.child is not first

    wait_until(started_again)
    assert greeter.child.pid != first.pid
    assert greeter.child.poll() is None
    assert messages == ["greeter was ended by SIGKILL: starting it again"]
    service.stop_together([greeter])
    assert not psutil.pid_exists(greeter.child.pid)


@pytest.mark.parametrize(
    ("status", "last_words"),
    [
        (1, "greeter ended with status 1, 5 times in 60 s; its log, {log}, ends:\n  error: no voice"),
        (2, "greeter: no voice"),
    ],
)
def test_a_service_that_keeps_failing_is_given_up_with_its_last_log_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int, last_words: str
) -> None:
    monkeypatch.setattr(supervisor, "RESTART_SECONDS", 0.01)
    code = f"import sys; print('error: no voice'); sys.exit({status})"
    greeter = CommandService(command(code, tmp_path))
    greeter.start()
    watching = Supervisor(print)
    watching.add(greeter)
    with pytest.raises(ServiceFailed) as failure:
        for _ in range(10_000):
            watching.tick()
    assert str(failure.value) == last_words.format(log=tmp_path / "greeter.log")


def test_a_service_that_ignores_sigterm_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "STOP_SECONDS", 0.3)
    deaf = CommandService(
        command(
            "from signal import *; signal(15, SIG_IGN); print('deaf', flush=True); pause()",
            tmp_path,
        )
    )
    deaf.start()
    wait_until(lambda: deaf.child.last_line() == "deaf")
    service.stop_together([deaf])
    assert deaf.child.poll() == -signal.SIGKILL


def test_a_long_log_is_rotated_at_the_next_start_and_a_short_one_is_appended_to(tmp_path: Path) -> None:
    for code in (f"print('x' * {LOG_BYTES})", "print('second')", "print('third')"):
        child = Child.spawn(command(code, tmp_path))
        assert child.wait(LIMIT_SECONDS)
    assert (tmp_path / "greeter.log").read_text() == "second\nthird\n"
    assert (tmp_path / "greeter.log.1").stat().st_size == LOG_BYTES + 1
    assert child.log_excerpt().endswith("ends:\n  third")


def test_the_log_of_a_service_that_never_stops_writing_stays_bounded(tmp_path: Path) -> None:
    code = "import time\nwhile True: print('x' * 9999, flush=True); time.sleep(0.001)"
    greeter = CommandService(command(code, tmp_path))
    greeter.start()
    watching = Supervisor(print)
    watching.add(greeter)
    aside = tmp_path / "greeter.log.1"

    def set_aside() -> bool:
        watching.tick()
        return aside.exists() and greeter.child.last_line() == "x" * 9999

    wait_until(set_aside)
    assert greeter.child.command.log_path.stat().st_size < aside.stat().st_size
    service.stop_together([greeter])


def test_what_a_service_cannot_reload_is_said_once_and_also_after_its_log_was_rotated(tmp_path: Path) -> None:
    messages: list[str] = []
    greeter = CommandService(command("import time; time.sleep(3600)", tmp_path))
    greeter.start()
    watching = Supervisor(messages.append)
    watching.add(greeter)
    path, seen = greeter.child.command.log_path, "what was read before stays in use (key_store_reload_failed)"

    def write(why: str, event: str = "key_store_reload_failed") -> None:
        with path.open("a") as log:
            log.write(json.dumps({"event": event, "why": why}) + "\n")

    write("keys.toml: line 3")
    write("no failure", "key_store_reloaded")
    with path.open("a") as log:
        log.write('no JSON: "_reload_failed"\n{"event": "half a line_reload_failed"')
    watching.tick(0)
    watching.tick(0)
    assert messages == [f"greeter: keys.toml: line 3; {seen}"]
    path.write_text("")
    watching.tick(0)
    write("keys.toml: line 4")
    watching.tick(0)
    assert messages[1:] == [f"greeter: keys.toml: line 4; {seen}"]
    service.stop_together([greeter])


def test_a_service_whose_log_was_deleted_is_still_reported_when_it_ends(tmp_path: Path) -> None:
    greeter = Child.spawn(command("print('hello')", tmp_path))
    assert greeter.wait(LIMIT_SECONDS)
    (tmp_path / "greeter.log").unlink()
    assert greeter.last_line() == "it wrote nothing"
    greeter.rotate_log()
