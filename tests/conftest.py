"""Fixtures that every test may use."""

import os
from collections.abc import Iterator

import pytest
import structlog

if "PYTEST_XDIST_WORKER" in os.environ:
    # Of what a test starts no lines are counted: a command takes longer to be counted than to run.
    os.environ.pop("COVERAGE_PROCESS_START", None)

pytest_plugins = [
    "tests.fixtures.encoder",
    "tests.fixtures.matcher",
    "tests.fixtures.photos",
    "tests.fixtures.postgres",
]


@pytest.fixture(autouse=True)
def default_logs() -> Iterator[None]:
    """Whatever a test configured of logs, the next one's are written to its own output."""
    yield
    structlog.reset_defaults()
