"""A native crash of the encoder reaches its callers as UNAVAILABLE, and the stack restarts it."""

import concurrent.futures
import io
import signal
from pathlib import Path

import psutil
from PIL import Image

from facerec.client import EncoderClient
from facerec.errors import FacerecError, Reason
from tests.e2e.local.conftest import Runner
from tests.e2e.local.test_up import Up, running
from tests.fixtures.waiting import LIMIT_SECONDS, wait_until


def test_a_crashed_encoder_is_restarted(data_dir: Path, myself: Runner) -> None:
    with io.BytesIO() as out:
        Image.new("RGB", (2000, 2000), "teal").save(out, "PNG")
        image = out.getvalue()
    with running(myself, data_dir) as up, EncoderClient(up.encoder, timeout_seconds=LIMIT_SECONDS) as encoder:
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
