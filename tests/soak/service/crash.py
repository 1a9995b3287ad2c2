"""The encoder of `facerec up` crashes in native code; the stack has it back, and soon."""

import signal
import time
from collections.abc import Callable

import psutil

from facerec.cli.local.temporary import temporary_stack
from facerec.client import EncoderClient
from facerec.errors import FacerecError, Reason

CRASHES = (signal.SIGSEGV, signal.SIGABRT)
BACK_SECONDS = 10.0  # most until it answers again
LONGEST_SECONDS = 120.0  # ends a soak whose encoder never comes back


def crash(number: signal.Signals, image: bytes) -> float:
    """Crash it by a signal; seconds until it answers again. Raises FacerecError for another trouble."""
    with temporary_stack() as (address, _), EncoderClient(address) as encoder:
        encoder.encode(image)
        _encoder_process().send_signal(number)
        began = time.monotonic()
        while not _answers(lambda: encoder.encode(image)):
            if time.monotonic() - began > LONGEST_SECONDS:
                raise TimeoutError("the encoder did not come back")
        return time.monotonic() - began


def _answers(ask: Callable[[], object]) -> bool:
    try:
        ask()
    except FacerecError as error:
        if error.reason not in {Reason.UNREACHABLE, Reason.MODEL_UNAVAILABLE}:
            raise
        return False
    return True


def _encoder_process() -> psutil.Process:
    """The encoder among what this process has started."""
    running = psutil.Process().children(recursive=True)
    (found,) = [each for each in running if "encoder_service" in each.cmdline()]
    return found
