"""Reads pages of people, ordered by id: of all of them, of those selected, or of those found by words."""

from collections.abc import Mapping
from typing import Any, Final

from matcher_service.domain.attributes import Selection
from matcher_service.domain.faces import Person
from matcher_service.persons.rows import person_of
from matcher_service.persons.selecting import SELECT_CONDITIONS, select_persons
from matcher_service.postgres.session import Row, Session

# Up to so many selected people are listed by their sorted keys; of more, some are met soon by id.
LISTED_BY_KEY: Final = 5000
# People read in the order of ids before words are looked up: if every tenth is found, a page of 100 is full.
READ_IN_ORDER: Final = 1000
PAGE_ATTRIBUTE_BYTES: Final = 2 * 1024 * 1024
LIST_CONDITIONS: Final = (SELECT_CONDITIONS - {"person_ids"}) | {"person_keys", "query"}


async def read_page(
    session: Session, selection: Selection, after: str, limit: int
) -> tuple[list[Person], bool]:
    """Read at most `limit` people ordered by id, after the id `after`, and whether others follow."""
    page = {"after_person_id": after, "prefix": selection.prefix}
    conditions = selection.conditions
    keys = await select_persons(session, conditions, LISTED_BY_KEY) if conditions else None
    if keys is not None:
        conditions = {"person_keys": keys}
    if selection.query:
        conditions = {**conditions, "query": selection.query}
    if selection.query and keys is None:
        rows = await _search(session, conditions, page, limit)
    else:
        rows = await _list(session, conditions, page, limit)
    read = [row for row in rows if row["person_id"] is not None][:limit]
    persons = [person for row in read if (person := person_of(row))]
    return persons, bool(read) and read[-1]["more"]


async def _search(
    session: Session, conditions: Mapping[str, Any], page: Mapping[str, Any], limit: int
) -> list[Row]:
    """Read a page of those found by words, among all or so many that they are not known by their keys.

    Where many have a common word, reading some people fills the page; the index would have to be read for all
    who have it.
    """
    rows = await _list(session, conditions, page, limit, max_read=READ_IN_ORDER)
    if len(rows) > limit:
        return rows
    found = await session.rows(
        "search_persons",
        without=SELECT_CONDITIONS.difference(conditions),
        max_persons=limit + 1,
        **page,
        **conditions,
    )
    return await _list(session, {"person_keys": [row["person_key"] for row in found]}, page, limit)


async def _list(
    session: Session,
    conditions: Mapping[str, Any],
    page: Mapping[str, Any],
    limit: int,
    *,
    max_read: int | None = None,
) -> list[Row]:
    """Read the people who fulfill the conditions, one more than `limit`, of `max_read` people at most."""
    return await session.required_rows(
        "list_persons",
        without=LIST_CONDITIONS.difference(conditions),
        max_rows=limit + 1,
        max_read=max_read,
        max_attribute_bytes=PAGE_ATTRIBUTE_BYTES,
        **page,
        **conditions,
    )
