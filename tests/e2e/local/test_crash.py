"""A native crash of the encoder reaches its callers as UNAVAILABLE, and the stack has it back."""

import concurrent.futures
import io
import signal
from pathlib import Path

import pytest
from PIL import Image

from facerec.client import EncoderClient
from facerec.errors import FacerecError, Reason
from tests.e2e.local.conftest import Runner
from tests.e2e.local.test_up import running
from tests.fixtures.waiting import LIMIT_SECONDS, wait_until


@pytest.mark.parametrize("crash", [signal.SIGSEGV, signal.SIGABRT])
def test_an_encoder_that_crashes_comes_back(data_dir: Path, myself: Runner, crash: signal.Signals) -> None:
    with io.BytesIO() as out:
        Image.new("RGB", (2000, 2000), "teal").save(out, "PNG")
        image = out.getvalue()
    with running(myself, data_dir) as up, EncoderClient(up.encoder, timeout_seconds=LIMIT_SECONDS) as encoder:
        assert encoder.encode(image).faces == ()
        process = up.child("encoder_service")
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

        def is_back() -> bool:
            try:
                return encoder.encode(image).faces == ()
            except FacerecError as error:
                assert error.reason in {Reason.UNREACHABLE, Reason.MODEL_UNAVAILABLE}
                return False

        wait_until(is_back)
        assert up.child("encoder_service").pid != process.pid
        wait_until(lambda: any("encoder was ended by" in line for line in up.told))
