"""Reads people and faces from the rows of statements."""

import datetime

from matcher_service.domain.attributes import Attributes
from matcher_service.domain.faces import Face, Person
from matcher_service.postgres.database import Row
from matcher_service.postgres.qualities import read_quality


def expire_time_of(value: datetime.datetime | None) -> datetime.datetime | None:
    """The expire time, or None for never: the driver reads infinity as the largest datetime."""
    return None if value is None or value.year == datetime.MAXYEAR else value


def face_of(row: Row, person_id: str) -> Face:
    """Read a person's face from a row."""
    return Face(
        face_id=row["face_id"],
        person_id=person_id,
        external_ref=row["external_ref"],
        space=row["space"],
        fingerprint=row["fingerprint"],
        create_time=row["create_time"],
        expire_time=expire_time_of(row["expire_time"]),
        quality=read_quality(row["quality"]),
    )


def person_of(row: Row) -> Person | None:
    """Read a person from a row; None if it has none."""
    if row["person_id"] is None:
        return None
    return Person(
        row["person_id"],
        row["display_name"],
        row["faces"],
        row["create_time"],
        row["update_time"],
        Attributes.of(row["labels"], row["metadata"]),
        row["suspended"],
    )


def changed_fields(row: Row) -> str:
    """The fields of a person that a statement changed, as audit events name them."""
    changed = {
        "display_name": row["renamed"],
        "labels": row["relabeled"],
        "metadata": row["new_metadata"],
        "suspended": row.get("suspended_or_resumed"),
    }
    return ", ".join(name for name, changes in changed.items() if changes)
