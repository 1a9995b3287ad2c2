"""Processes of a stack that are killed or crash are restarted; callers see UNAVAILABLE until then."""

import concurrent.futures
import io
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from PIL import Image

from facerec.client import EncoderClient, MatcherClient
from facerec.errors import FacerecError, Reason
from tests.e2e.local.conftest import PASSABLE, Runner
from tests.e2e.local.test_up import ANN, Up, kill_and_await, running
from tests.fixtures.waiting import LIMIT_SECONDS, wait_until


@pytest.fixture(scope="module")
def up(model_cache: Path) -> Iterator[Up]:
    """A stack that this module's tests share, as to start one costs seconds of a core."""
    folder = Path(tempfile.mkdtemp(prefix="facerec-test-", dir=PASSABLE))
    folder.chmod(0o755)
    runner = Runner(sys.executable, folder, variables={"ENCODER_MODEL_CACHE_DIR": str(model_cache)})
    with running(runner, folder / "data") as started:
        yield started
    shutil.rmtree(folder)


def test_a_killed_process_is_restarted_and_the_stack_works(up: Up) -> None:
    with MatcherClient(up.matcher) as matcher:
        matcher.enroll("ann", ANN)
        for mark, name in (
            ("matcher_service serve", "matcher"),
            ("matcher_service maintain", "matcher-maintain"),
            ("encoder_service serve", "encoder"),
            ("postgres", "PostgreSQL"),
        ):
            kill_and_await(up, mark, f"{name} was ended by SIGKILL: starting it again")
            wait_until(lambda: verifies(matcher))


def verifies(matcher: MatcherClient) -> bool:
    try:
        return matcher.verify("ann", ANN).match
    except FacerecError:
        return False


def test_a_crashed_encoder_is_restarted(up: Up) -> None:
    with io.BytesIO() as out:
        Image.new("RGB", (2000, 2000), "teal").save(out, "PNG")
        image = out.getvalue()
    with EncoderClient(up.encoder, timeout_seconds=LIMIT_SECONDS) as encoder:
        wait_until(lambda: is_back(encoder, image))
        assert encoder.encode(image).faces == ()
        for crash in (signal.SIGSEGV, signal.SIGABRT):
            process = up.child("encoder_service")
            crash_at_work(encoder, image, process, crash)
            wait_until(lambda: is_back(encoder, image))
            assert up.child("encoder_service").pid != process.pid
            wait_for_notice(up, f"encoder was ended by {crash.name}")


def crash_at_work(
    encoder: EncoderClient, image: bytes, process: psutil.Process, crash: signal.Signals
) -> None:
    with concurrent.futures.ThreadPoolExecutor(1) as callers:
        worked = sum(process.cpu_times()[:2])
        call = callers.submit(encoder.encode, image, full_resolution=True)
        # At work, and an image of that size takes much longer.
        wait_until(lambda: sum(process.cpu_times()[:2]) > worked + 0.2)
        process.send_signal(crash)
        try:
            call.result()  # tried again by the client until the encoder was back
        except FacerecError as error:
            assert error.reason is Reason.UNREACHABLE


def is_back(encoder: EncoderClient, image: bytes) -> bool:
    try:
        return encoder.encode(image).faces == ()
    except FacerecError as error:
        assert error.reason in {Reason.UNREACHABLE, Reason.MODEL_UNAVAILABLE}
        return False


def wait_for_notice(up: Up, notice: str) -> None:
    wait_until(lambda: any(notice in line for line in up.stderr_lines))
