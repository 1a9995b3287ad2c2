"""Reads encodings by a query on another Postgres, through a cursor so that memory stays bounded."""

import contextlib
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from facerec.sources import fields
from facerec.sources.errors import SourceRefused
from facerec.sources.rows import ATTRIBUTES, Refuse, Row, face

if TYPE_CHECKING:
    import asyncpg

PREFETCH_ROWS = 2000
_HALVES: Final = ("vec_low", "vec_high")


def digest(query: str, database: str) -> str:
    """The SHA-256 of a query's text and its database, in hexadecimal: the id of its import."""
    return hashlib.sha256(f"{database}\0{query}".encode()).hexdigest()


async def rows(url: str, query: str, refuse: Refuse) -> AsyncIterator[Row]:
    """The faces that a query returns, in the columns person_id and encoding, and optional known ones.

    An encoding is a float8[], a float4[] or a vector of pgvector; or two cubes with half of it each, in
    vec_low and vec_high, because a cube of Postgres has at most 100 numbers.

    Read in one read-only snapshot. Raises SourceRefused.
    """
    number, halves = 0, False
    async with snapshot(url, lambda: f"row {number + 1}" if number else "") as connection:
        async for record in connection.cursor(query, prefetch=PREFETCH_ROWS):
            if not number:
                halves = check_columns(list(record.keys()))
            number += 1
            known = {
                name: "" if record[name] is None else str(record[name])
                for name in ("display_name", "external_ref", *ATTRIBUTES)
                if name in record.keys()  # noqa: SIM118
            }
            known["person_id"] = record["person_id"]
            if row := face(f"row {number}", encoding(record, halves), known, refuse):
                yield row


@contextlib.asynccontextmanager
async def snapshot(
    url: str, location: Callable[[], str] = lambda: ""
) -> "AsyncGenerator[asyncpg.Connection[Any]]":
    """A connection in one read-only snapshot; `location` says which row an error is about, "" for none.

    Raises SourceRefused, also for errors of the database within the context.
    """
    try:
        import asyncpg  # noqa: PLC0415
    except ImportError:
        raise SourceRefused("reading another Postgres needs asyncpg: pip install asyncpg") from None
    try:
        connection = await asyncpg.connect(url, timeout=10)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError, ValueError) as error:
        raise SourceRefused(f"cannot connect to the database ({type(error).__name__})") from None
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            yield connection
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        detail = " ".join(str(error).split())
        raise SourceRefused(f"the query failed: {detail}", location=location()) from None
    finally:
        await connection.close(timeout=10)


def check_columns(names: Sequence[str]) -> bool:
    """Whether an encoding is in two halves. Raises SourceRefused with the missing column."""
    halves = set(_HALVES) <= set(names)
    fields.check([*names, *(["encoding"] if halves else [])], "", hint="select it AS")
    if "person_id" not in names or not (halves or "encoding" in names):
        raise SourceRefused("the query must return columns named person_id and encoding: name them with AS")
    return halves


def encoding(record: Any, halves: bool) -> Any:
    """A row's encoding as a list of numbers; a value of another type is returned unchanged."""
    if not halves:
        return numbers(record["encoding"])
    low, high = (numbers(record[name]) for name in _HALVES)
    return [*low, *high] if isinstance(low, list) and isinstance(high, list) else None


def numbers(value: Any) -> Any:
    """A column's value; the text of a vector ([1,2]) or of a cube ((1, 2)) as a list of numbers."""
    if not isinstance(value, str):
        return value
    try:
        return [float(number) for number in value.strip("[]()").split(",")]
    except ValueError:
        return value
