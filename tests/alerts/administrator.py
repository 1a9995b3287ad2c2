"""A superuser's connection that causes faults in the database."""

import asyncio

import asyncpg

from tests.benchmarks.vectors import Dataset
from tests.fixtures import dataset


class Administrator:
    """A superuser's connection, used from the test's own thread."""

    def __init__(self, url: str) -> None:
        self._loop = asyncio.new_event_loop()
        self.connection = self._loop.run_until_complete(asyncpg.connect(url))

    def execute(self, statement: str) -> None:
        """Run a statement, in the transaction that an earlier one began."""
        self._loop.run_until_complete(self.connection.execute(statement))

    def load(self, persons: int) -> None:
        """Load a generated dataset into the default collection."""
        self._loop.run_until_complete(dataset.load(self.connection, Dataset(persons, 3.0, seed=11).all()))

    def close(self) -> None:
        """Close it; what was not committed is undone."""
        self._loop.run_until_complete(self.connection.close())
        self._loop.close()
