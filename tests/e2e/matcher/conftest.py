"""Fixtures of tests about standbys."""

from collections.abc import Iterator

import pytest

from tests.fixtures.standbys import Replication, replicated


@pytest.fixture
def own_servers() -> Iterator[Replication]:
    """Servers that the test may break for good."""
    with replicated() as replication:
        yield replication
