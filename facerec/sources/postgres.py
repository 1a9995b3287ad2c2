"""Encodings of a query on another Postgres, read by a cursor so that memory stays flat."""

import hashlib
from collections.abc import AsyncIterator

from facerec.sources.errors import SourceRefused
from facerec.sources.rows import Refuse, Row, face

PREFETCH_ROWS = 2000


def digest(query: str, database: str) -> str:
    """Names an import of this query: SHA-256 of its text and the database, in hexadecimal."""
    return hashlib.sha256(f"{database}\0{query}".encode()).hexdigest()


async def rows(url: str, query: str, refuse: Refuse) -> AsyncIterator[Row]:
    """The faces a query answers: columns person_id, encoding (float8[] or float4[]), and what else is known.

    One snapshot, read only. Raises SourceRefused.
    """
    try:
        import asyncpg  # noqa: PLC0415
    except ImportError:
        raise SourceRefused("reading another Postgres takes asyncpg: pip install facerec[matcher]") from None
    try:
        connection = await asyncpg.connect(url, timeout=10)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError, ValueError) as error:
        raise SourceRefused(f"cannot connect to the database ({type(error).__name__})") from None
    number = 0
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            async for record in connection.cursor(query, prefetch=PREFETCH_ROWS):
                if not {"person_id", "encoding"} <= set(record.keys()):
                    raise SourceRefused("the query answers columns named person_id and encoding")
                number += 1
                known = {
                    name: str(record[name] or "")
                    for name in ("display_name", "external_ref")
                    if name in record.keys()  # noqa: SIM118
                }
                known["person_id"] = record["person_id"]
                if row := face(f"row {number}", record["encoding"], known, refuse):
                    yield row
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        said = " ".join(str(error).split())
        raise SourceRefused(
            f"the query failed: {said}", place=f"row {number + 1}" if number else ""
        ) from None
    finally:
        await connection.close(timeout=10)
