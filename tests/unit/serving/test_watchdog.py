"""A process whose thread or loop is stuck ends itself, and says what blocked it."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from facerec.serving.observability.watchdog import FAILED_STATUS, Watchdog
from tests.fixtures.waiting import LIMIT_SECONDS

PROGRAM = """
import asyncio, sys, threading, time
from facerec.serving.observability.watchdog import Watchdog

async def main(held, seconds, stuck_seconds):
    watchdog = Watchdog(stuck_seconds)
    watchdog.start()
    watching = asyncio.create_task(watchdog.watch_loop())
    await asyncio.sleep(0)
    if held == "loop":
        time.sleep(seconds)
    elif held == "thread":
        await asyncio.to_thread(watchdog.watched("image", time.sleep), seconds)
    else:
        print("ready", flush=True)
        await asyncio.sleep(seconds)
    watching.cancel()

asyncio.run(main(sys.argv[1], *map(float, sys.argv[2:])))
"""


def run(held: str, seconds: float, stuck_seconds: float) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", PROGRAM, held, str(seconds), str(stuck_seconds)]
    return subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False)


@pytest.mark.parametrize(("held", "work"), [("loop", "event_loop"), ("thread", "image")])
def test_work_or_a_loop_blocked_too_long_ends_the_process(held: str, work: str) -> None:
    ended = run(held, seconds=3600, stuck_seconds=1)
    assert ended.returncode == FAILED_STATUS
    assert "stuck_work_detected" in ended.stdout + ended.stderr
    assert work in ended.stdout + ended.stderr


def test_work_that_ends_in_time_is_left_alone() -> None:
    assert run("thread", seconds=0.3, stuck_seconds=10).returncode == 0


def test_a_process_that_was_suspended_is_not_mistaken_for_stuck() -> None:
    command = [sys.executable, "-c", PROGRAM, "nothing", "5", "2"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        os.kill(process.pid, signal.SIGSTOP)
        time.sleep(3)
        os.kill(process.pid, signal.SIGCONT)
        assert process.wait(LIMIT_SECONDS) == 0


async def test_a_disabled_watchdog_starts_no_thread() -> None:
    before = set(threading.enumerate())
    watchdog = Watchdog(0)
    watchdog.start()
    watching = asyncio.create_task(watchdog.watch_loop())
    await asyncio.sleep(0)
    watching.cancel()
    assert set(threading.enumerate()) == before
