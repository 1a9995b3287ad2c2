"""`facerec audit`."""

import datetime
import itertools
from typing import Annotated

import typer

from facerec.cli.terminal import output, times
from facerec.cli.terminal.options import MATCHER_ADDRESS, Collection, Json, Matcher, collection_client
from facerec.contract import DEFAULT_COLLECTION_ID

FORMATS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]


def audit(
    person: Annotated[
        str | None,
        typer.Option(metavar="PERSON", help="Only events about this person, who must still be enrolled."),
    ] = None,
    changes: Annotated[bool, typer.Option("--changes", help="Only changes.")] = False,
    decisions: Annotated[bool, typer.Option("--decisions", help="Only decisions.")] = False,
    since: Annotated[
        datetime.datetime | None, typer.Option(formats=FORMATS, help="Only events from this time on, in UTC.")
    ] = None,
    until: Annotated[
        datetime.datetime | None, typer.Option(formats=FORMATS, help="Only events before this time, in UTC.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Show at most this many events.")] = 100,
    collection: Collection = DEFAULT_COLLECTION_ID,
    address: Matcher = MATCHER_ADDRESS,
    json: Json = False,
) -> None:
    """Show the audit log, newest events first."""
    kind = "" if changes == decisions else "changes" if changes else "decisions"
    with collection_client(address, person_id=person, collection_id=collection) as client:
        listing = client.list_audit_events(
            person_id=person,
            kind=kind,
            start_time=_utc(since),
            end_time=_utc(until),
            page_size=min(limit, 1000),
            collection_id=collection,
        )
        events = list(itertools.islice(listing, limit))
    if json:
        output.as_json({"events": events})
        return
    if events:
        outcomes = {None: "", True: "match", False: "no match"}
        rows = [
            (
                event.event_time,
                event.action,
                event.caller,
                event.person_tag,
                event.faces,
                outcomes[event.match],
                ", ".join(_detail(name, text) for name, text in sorted(event.details.items())),
            )
            for event in events
        ]
        output.table(("when", "what", "caller", "person", "faces", "outcome", "more"), rows)
    output.line(output.counted(len(events), "event"))


def _utc(time: datetime.datetime | None) -> datetime.datetime | None:
    return time.replace(tzinfo=datetime.UTC) if time else None


def _detail(name: str, text: str) -> str:
    """A detail of an event; a retention as the commands take it, such as 52w."""
    return f"{name}: {times.shorten_durations(text) if name == 'retention' else text}"
