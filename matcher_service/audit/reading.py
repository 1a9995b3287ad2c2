"""Reading audit events."""

import dataclasses
import datetime
import json
from collections.abc import Mapping

from matcher_service.audit.changes import Action
from matcher_service.domain import page_tokens
from matcher_service.domain.errors import PersonNotFound
from matcher_service.postgres.database import Database, Row
from matcher_service.postgres.driver_errors import retried_on_schema_change


@dataclasses.dataclass(frozen=True)
class Event:
    """An audit event; `match` is None if it is no decision, `person_tag` if it concerns no or several
    persons.
    """

    event_id: int
    time: datetime.datetime
    action: Action
    caller: str
    person_tag: bytes | None
    persons: int
    faces: int
    match: bool | None
    details: Mapping[str, str]


@dataclasses.dataclass(frozen=True)
class Filter:
    """Selects events: of a person; only decisions or only changes; from `start` (inclusive) to `end`."""

    person_id: str | None = None
    decisions: bool | None = None
    start: datetime.datetime | None = None
    end: datetime.datetime | None = None


def event_of(row: Row) -> Event:
    """Read an event from a row."""
    return Event(
        event_id=row["event_id"],
        time=row["event_time"],
        action=Action(row["action"]),
        caller=row["caller"],
        person_tag=row["person_tag"],
        persons=row["persons"],
        faces=row["faces"],
        match=None if row["outcome"] is None else row["outcome"] == "match",
        details=json.loads(row["detail"]),
    )


class AuditReader:
    """Reads the events of a collection, also of an erased one."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @retried_on_schema_change
    async def list(
        self, collection_id: str, wanted: Filter, page_size: int, page_token: str
    ) -> tuple[list[Event], str]:
        """A page of events, newest first, and the next page's token.

        Raises PersonNotFound, OptionInvalid for a token of another list, StoreUnavailable, Overloaded.
        """
        before = page_tokens.read_event(page_token, collection_id)
        async with self._database.search_session(collection_id) as session:
            tag = None
            if wanted.person_id is not None:
                tag = await session.value("get_person_tag", person_id=wanted.person_id)
                if tag is None:
                    raise PersonNotFound("the collection has no person with this id", field="person_id")
            rows = await session.rows(
                "list_audit_events",
                before_event_id=before,
                person_tag=tag,
                decisions=wanted.decisions,
                start_time=wanted.start,
                end_time=wanted.end,
                max_rows=page_size + 1,
            )
        events = [event_of(row) for row in rows[:page_size]]
        more = len(rows) > page_size
        return events, page_tokens.event_token(collection_id, events[-1].event_id) if more else ""
