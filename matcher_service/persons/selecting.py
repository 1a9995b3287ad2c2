"""Selects people by ids, labels, names, and whether they are suspended, up to a limit."""

from collections.abc import Mapping
from typing import Any, Final

from matcher_service.postgres.session import Session

SELECT_CONDITIONS: Final = frozenset(
    {"person_ids", "labels_path", "name_prefix", "only_suspended", "only_active"}
)


async def select_persons(session: Session, conditions: Mapping[str, Any], limit: int) -> list[int] | None:
    """Read the keys of the people who fulfill the conditions of the statement of this name.

    None if they are more than `limit`, and not selected by their ids.
    """
    most = max(limit, len(conditions.get("person_ids", ())))
    rows = await session.rows(
        "select_persons",
        without=SELECT_CONDITIONS.difference(conditions),
        max_persons=most + 1,
        **conditions,
    )
    return None if len(rows) > most else [row["person_key"] for row in rows]
