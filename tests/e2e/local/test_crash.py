"""A native crash of the encoder reaches its callers as UNAVAILABLE, and the stack has it back in seconds."""

import concurrent.futures
import io
import signal
import time
from pathlib import Path

import pytest
from PIL import Image

from facerec.client import EncoderClient
from facerec.errors import FacerecError, Reason
from tests.e2e.local.conftest import Runner
from tests.e2e.local.test_up import running


@pytest.mark.parametrize("crash", [signal.SIGSEGV, signal.SIGABRT])
def test_an_encoder_that_crashes_is_back_within_ten_seconds(
    data_dir: Path, myself: Runner, crash: signal.Signals
) -> None:
    with io.BytesIO() as out:
        Image.new("RGB", (2000, 2000), "teal").save(out, "PNG")
        image = out.getvalue()
    with running(myself, data_dir) as up, EncoderClient(up.encoder, timeout_seconds=20) as encoder:
        assert encoder.encode(image).faces == ()
        process = up.child("encoder_service")
        with concurrent.futures.ThreadPoolExecutor(1) as callers:
            call = callers.submit(encoder.encode, image, full_resolution=True)
            time.sleep(0.4)  # an image of that size takes longer
            process.send_signal(crash)
            died = time.monotonic()
            try:
                call.result()  # tried again by the client until the encoder was back
            except FacerecError as error:
                assert error.reason is Reason.UNREACHABLE
        while True:
            try:
                assert encoder.encode(image).faces == ()
                break
            except FacerecError as error:
                assert error.reason in {Reason.UNREACHABLE, Reason.MODEL_UNAVAILABLE}
                assert time.monotonic() - died < 10
        assert time.monotonic() - died < 10
        assert up.child("encoder_service").pid != process.pid
        assert any("encoder was ended by" in line for line in up.told)
