"""Runs named statements with named values for one collection on a connection."""

import contextlib
from typing import Any, Literal, TypeAlias

import asyncpg

from matcher_service.domain.errors import CollectionNotFound
from matcher_service.postgres.statements import of_collection

Connection: TypeAlias = asyncpg.Connection | asyncpg.pool.PoolConnectionProxy
Row: TypeAlias = asyncpg.Record
Isolation: TypeAlias = Literal["read_committed", "repeatable_read"]


class Session:
    """Runs the statements of a role on one connection; `collection_id` is passed to all that have it.

    Database translates the driver's errors for the connections that it lends; on other connections they are
    raised as asyncpg raises them. All methods raise TypeError if the values are not the statement's
    parameters. `on_primary` is False on a standby, where statements only read and delay no short request.
    """

    def __init__(
        self,
        connection: Connection,
        collection_id: str = "",
        *,
        role: str = "serving",
        on_primary: bool = True,
    ) -> None:
        self.connection = connection
        self.collection_id = collection_id
        self.on_primary = on_primary
        self._role = role

    async def row(self, name: str, *, timeout_seconds: float | None = None, **values: Any) -> Row | None:
        """The first row of a statement's result, or None.

        `timeout_seconds` is how long the driver waits; None is the pool's limit.
        """
        text, arguments = self._bind(name, values)
        return await self.connection.fetchrow(text, *arguments, timeout=timeout_seconds)

    async def required_row(self, name: str, *, timeout_seconds: float | None = None, **values: Any) -> Row:
        """The first row. Raises CollectionNotFound if there is none: an existing collection has one."""
        row = await self.row(name, timeout_seconds=timeout_seconds, **values)
        if row is None:
            raise CollectionNotFound
        return row

    async def rows(
        self, name: str, *, probes: int = 1, without: frozenset[str] = frozenset(), **values: Any
    ) -> list[Row]:
        """All rows of a statement's result; `probes` and `without` are those of `of_collection`."""
        text, arguments = self._bind(name, values, probes, without)
        return list(await self.connection.fetch(text, *arguments))

    async def required_rows(
        self, name: str, *, without: frozenset[str] = frozenset(), **values: Any
    ) -> list[Row]:
        """All rows. Raises CollectionNotFound if there is none, as `required_row`."""
        rows = await self.rows(name, without=without, **values)
        if not rows:
            raise CollectionNotFound
        return rows

    async def value(self, name: str, **values: Any) -> Any:
        """The first column of the first row; None if there is no row."""
        text, arguments = self._bind(name, values)
        return await self.connection.fetchval(text, *arguments)

    async def execute(self, name: str, **values: Any) -> None:
        """Run a statement without reading its result."""
        text, arguments = self._bind(name, values)
        await self.connection.execute(text, *arguments)

    async def execute_named(self, name: str, **names: str) -> None:
        """Run a statement that takes names of tables or indexes, which are quoted, and no values."""
        statement = of_collection(self.collection_id, name, self._role)
        await self.connection.execute(statement.with_identifiers(names).text)

    def transaction(
        self, isolation: Isolation = "read_committed", *, readonly: bool = False
    ) -> contextlib.AbstractAsyncContextManager[object]:
        """A transaction as a context manager; in `read_committed` each statement sees what was committed
        before it.
        """
        return self.connection.transaction(isolation=isolation, readonly=readonly)

    def _bind(
        self,
        name: str,
        values: dict[str, Any],
        probes: int = 1,
        without: frozenset[str] = frozenset(),
    ) -> tuple[str, list[Any]]:
        statement = of_collection(self.collection_id, name, self._role, probes=probes, without=without)
        if "collection_id" in statement.parameters:
            if not self.collection_id or "collection_id" in values:
                raise TypeError(f"{name} is run for the session's collection, which must have one")
            values["collection_id"] = self.collection_id
        return statement.text, statement.arguments(values)
