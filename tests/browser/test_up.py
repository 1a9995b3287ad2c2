"""`facerec up` prints an address at which the console opens."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.console import Console
from tests.fixtures.waiting import LIMIT_SECONDS

ANY_PORTS = [
    part for name in ("encoder", "matcher", "gateway") for part in (f"--{name}-address", "127.0.0.1:0")
]


@pytest.fixture
def passable_folder() -> Iterator[Path]:
    """A folder that Postgres' user may enter under root."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def test_the_console_opens_at_the_address_that_up_prints(browser: Any, passable_folder: Path) -> None:
    command = [sys.executable, "-m", "facerec", "up", *ANY_PORTS, "--data", str(passable_folder / "data")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = next(line for line in process.stdout if line.startswith("console: "))
            began = time.perf_counter()
            address = line.split("http://")[1].split("/")[0]
            console = Console(browser.new_page(), address)
            console.open("")
            console.page.get_by_role("heading", name="Try").wait_for()
            print(f"the page is there {time.perf_counter() - began:.2f} s after ready")
            console.page.close()
            assert console.errors == []
        finally:
            process.terminate()
            assert process.wait(LIMIT_SECONDS) == 0
