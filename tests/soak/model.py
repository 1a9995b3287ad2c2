"""Drive two matchers over one database at random, beside dicts and numpy.

`python -m tests.soak.model [SEQUENCES] [STEPS]`: what tests/e2e/matcher/test_model.py does, longer. An answer
or a stored row that differs fails, with the shortest sequence of calls that shows it.
"""

import shutil
import sys
import tempfile
import time
from pathlib import Path

import structlog

from tests.e2e.matcher.machine import drive
from tests.e2e.matcher.model_attributes import AttributesMachine
from tests.fixtures.clusters import open_migrated

SEQUENCES = 200
STEPS = 200


def run(sequences: int, steps: int) -> int:
    """The number of calls that were made in sequences of steps, all as the oracle has them."""
    folder = Path(tempfile.mkdtemp(prefix="facerec-model-"))
    folder.chmod(0o755)  # under root Postgres runs as another user, which must enter it
    try:
        opened = open_migrated(folder / "data")
        try:
            return drive(AttributesMachine, opened.url(), sequences=sequences, steps=steps)
        finally:
            opened.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))  # no line a call
    wanted = [int(each) for each in sys.argv[1:]]
    begin = time.monotonic()
    calls = run(*(wanted + [SEQUENCES, STEPS][len(wanted) :]))
    print(f"{calls} calls in {time.monotonic() - begin:.0f} s: no answer and no stored row differs")
