"""Convert the audit's messages to the domain's dataclasses, checked, and back."""

import datetime

from google.protobuf.timestamp_pb2 import Timestamp

from facerec.matcher.v1 import audit_pb2 as pb
from matcher_service.audit.reading import Event, Filter
from matcher_service.domain import ids
from matcher_service.domain.errors import OptionInvalid

_KINDS = {
    pb.AUDIT_KIND_UNSPECIFIED: None,
    pb.AUDIT_KIND_CHANGES: False,
    pb.AUDIT_KIND_DECISIONS: True,
}
_OUTCOMES = {
    None: pb.AUDIT_OUTCOME_UNSPECIFIED,
    True: pb.AUDIT_OUTCOME_MATCH,
    False: pb.AUDIT_OUTCOME_NO_MATCH,
}


def event_filter(request: pb.ListAuditEventsRequest) -> Filter:
    """Read the filter of a request. Raises IdInvalid, OptionInvalid."""
    if request.kind not in _KINDS:
        raise OptionInvalid(f"kind {request.kind} is unknown: send a value of AuditKind", field="kind")
    return Filter(
        person_id=ids.person_id(request.person_id) if request.HasField("person_id") else None,
        decisions=_KINDS[request.kind],
        start=_time(request.start_time, "start_time") if request.HasField("start_time") else None,
        end=_time(request.end_time, "end_time") if request.HasField("end_time") else None,
    )


def _time(message: Timestamp, field: str) -> datetime.datetime:
    try:
        return message.ToDatetime(tzinfo=datetime.UTC)
    except (ValueError, OverflowError):
        raise OptionInvalid(
            f"{field} is not a valid time: send one in the years 1 to 9999", field=field
        ) from None


def event_message(event: Event) -> pb.AuditEvent:
    """Build an event."""
    message = pb.AuditEvent(
        event_id=event.event_id,
        action=pb.AuditAction.Value(f"AUDIT_ACTION_{event.action.value}"),
        caller=event.caller,
        person_tag=event.person_tag.hex() if event.person_tag else "",
        persons=event.persons,
        faces=event.faces,
        outcome=_OUTCOMES[event.match],
        details=event.details,
    )
    message.event_time.FromDatetime(event.time)
    return message
