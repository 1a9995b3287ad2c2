"""Both services in a temporary folder."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from facerec.cli.terminal.errors import Problem
from facerec.local import environment

READY = re.compile(r"ready: encoder (\S+), matcher ([^\s,;]+)")
STOP_SECONDS = 20


@contextlib.contextmanager
def temporary_stack() -> Iterator[tuple[str, str]]:
    """`facerec up` in a temporary folder on free ports; yields the encoder's and the matcher's address.

    It uses the environment's settings of models and this machine, but no keys and no other database. Its
    output goes to stderr. Raises Problem if it does not become ready.
    """
    folder = Path(tempfile.mkdtemp(prefix="facerec-"))
    folder.chmod(0o755)  # for root, PostgreSQL runs as another user, who needs access
    command = [sys.executable, "-m", "facerec", "up", "--data", str(folder / "data")]
    command += [
        "--encoder-address",
        "127.0.0.1:0",
        "--matcher-address",
        "127.0.0.1:0",
        "--gateway-address",
        "",
    ]
    process = subprocess.Popen(  # noqa: S603 - all words are ours
        command, stdout=subprocess.PIPE, text=True, env=environment.without_settings(os.environ)
    )
    try:
        assert process.stdout is not None
        ready = next(filter(None, map(READY.match, process.stdout)), None)
        if ready is None:
            raise Problem("the stack did not start; its output is above", "STACK")
        yield ready[1], ready[2]
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGINT)
        try:
            process.communicate(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
        shutil.rmtree(folder, ignore_errors=True)
