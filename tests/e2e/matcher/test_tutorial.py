"""Every command of docs/tutorial.md runs, and prints what the page shows."""

import asyncio
import contextlib
import dataclasses
import io
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from matcher_service.maintenance import runner
from matcher_service.maintenance.runner import MaintenanceOptions
from tests.e2e.matcher.documented import Session, all_blocks, page
from tests.fixtures.matcher import MatcherProcess
from tests.fixtures.process import ROOT

FIGURE = re.compile(r"\d+(?:\.\d+)?(?:e-\d+)?")
UPTIME = re.compile(r"up \d+ \w+")  # its unit depends on the time


def without_figures(text: str) -> list[list[str]]:
    """The words of each line that holds any, figures replaced: columns are as wide as their figures."""
    lines = [re.sub("-+", "-", FIGURE.sub("0", UPTIME.sub("up", line))).split() for line in text.splitlines()]
    return [line for line in lines if line]


@dataclasses.dataclass
class Reader:
    """Somebody who types the page's commands, in a folder that has the clone's samples."""

    session: Session
    folder: Path
    environment: dict[str, str]

    def follow(self, block: str) -> str:
        """Run a block of the shell, and return what it printed."""
        done = subprocess.run(
            ["/bin/sh", "-eu", "-c", block],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{block}\n{done.stdout}"
        return done.stdout

    def run(self, block: str) -> str:
        """Run a block of Python, and return what it printed."""
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            self.session.run(block)
        return printed.getvalue()


@pytest.fixture
def services(
    make_database: Callable[[str], str], template_database: str, encoder_address: str
) -> Iterator[dict[str, str]]:
    """The variables by which commands find the services, of the test in the place of those of `make up`."""
    database_url = make_database(template_database)
    asyncio.run(runner.run_once(MaintenanceOptions(database_url)))  # as of `make up` soon after its start
    matcher = MatcherProcess(database_url, "--encoder-address", encoder_address)
    try:
        matcher.event("database_ready")
        yield {"FACEREC_ENCODER": encoder_address, "FACEREC_MATCHER": matcher.address}
    finally:
        matcher.stop()


@pytest.fixture
def reader(
    services: dict[str, str], sample_photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Reader:
    """A reader in a folder of their own, which has the sample photos where a clone has them."""
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".cache" / "samples").symlink_to(sample_photos)
    monkeypatch.chdir(tmp_path)
    # What `export PATH` of the page does for the blocks after it.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, **services, "PATH": path, "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
    return Reader(Session({"127.0.0.1:50052": services["FACEREC_MATCHER"]}), tmp_path, environment)


def targets(block: str) -> list[str]:
    """The targets that a block has make reach; none of a block of other commands."""
    return re.findall(r"^make ([a-z-]+)$", block, re.MULTILINE)


def test_every_command_of_the_tutorial_runs_as_documented(reader: Reader) -> None:
    printed = ""
    kinds = []
    for language, block in all_blocks(page("docs/tutorial.md")):
        kinds.append(language)
        if language == "text":
            assert without_figures(block) == without_figures(printed)
        elif wanted := targets(block):
            # They start services on the default ports; tests/e2e/local starts them on others.
            for target in wanted:
                assert re.search(
                    rf"^{target}: .*\n\t@\$\(BIN\)/facerec {target}\b", page("Makefile"), re.MULTILINE
                )
        else:
            printed = reader.run(block) if language == "python" else reader.follow(block)
    assert kinds.count("sh") > 10
    assert "DELETE_PERSON" in printed
    assert "retention: for ever -> 52w" in printed
