"""face_recognition's own test suite, unmodified, passes against this service."""

import os
import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import pytest

from facerec import samples
from tests.fixtures.process import ROOT

SUITE = ROOT / ".cache" / "face_recognition_suite"
RELEASE = "face_recognition-1.3.0"
TESTS = 30
RUN = """
import sys, unittest, warnings
warnings.simplefilter("ignore")
from tests.e2e.encoder import adapter
sys.modules["face_recognition.api"] = adapter  # before the package, so that its own is never loaded
unittest.main("test_face_recognition", verbosity=2)
"""


@pytest.fixture(scope="module")
def suite() -> Path:
    """The suite and its images, as the package's source release has them."""
    if not (SUITE / "test_face_recognition.py").is_file():
        SUITE.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=SUITE.parent) as temporary:
            with tarfile.open(samples._download(Path(temporary))) as archive:
                archive.extractall(temporary, filter="data")
            (Path(temporary) / RELEASE / "tests").rename(SUITE)
    return SUITE


def test_the_packages_own_tests_pass(suite: Path, large_landmarks_address: str) -> None:
    path = os.pathsep.join([str(ROOT), str(suite)])
    run = subprocess.run(
        [sys.executable, "-c", RUN],
        env={**os.environ, "PYTHONPATH": path, "FACEREC_ENCODER": large_landmarks_address},
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
    )
    assert run.returncode == 0, run.stderr[-4000:]
    assert re.search(rf"Ran {TESTS} tests", run.stderr)
    assert run.stderr.count("... ok") == TESTS
