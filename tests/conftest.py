"""Fixtures that every test may use."""

import os

if "PYTEST_XDIST_WORKER" in os.environ:
    # Of what a test starts no lines are counted: a command takes longer to be counted than to run.
    os.environ.pop("COVERAGE_PROCESS_START", None)

pytest_plugins = [
    "tests.fixtures.encoder",
    "tests.fixtures.matcher",
    "tests.fixtures.photos",
    "tests.fixtures.postgres",
]
