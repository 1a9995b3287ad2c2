"""Refuses duplicates: a search before the enrollment, and a comparison with newer faces at its end.

So the search of a large collection holds no lock, and of two concurrent enrollments of one face the second
finds the first.
"""

import uuid
from collections.abc import Mapping

from matcher_service.postgres.database import Session

RECENT_FACES = 100  # a row of 1.6 kB; Postgres would store more than 2 kB out of line


class SearchOutdated(Exception):
    """The search for duplicates is outdated; nothing of the call was stored."""


class DuplicateFound(Exception):
    """The item at `index` is a duplicate of a face enrolled since the search; nothing was stored."""

    def __init__(self, index: int, person_id: str) -> None:
        super().__init__(index)
        self.index = index
        self.person_id = person_id


async def check_added(
    session: Session,
    person_id: str,
    indexes: Mapping[uuid.UUID, int],
    *,
    enrollment_version: int | None,
    threshold: float,
) -> None:
    """Compare the faces just added with those enrolled since the search, as a transaction's last step.

    It blocks other enrollments until the transaction ends. `indexes` maps the added faces' ids to their
    items, `enrollment_version` is the collection's before the search, `threshold` the largest distance of a
    duplicate. Raises SearchOutdated, DuplicateFound.
    """
    face_ids = list(indexes)
    recent = await session.row("record_recent_enrollment", face_ids=face_ids, max_listed=RECENT_FACES)
    if recent is None or enrollment_version is None:
        raise SearchOutdated
    missed = recent["version_before"] - enrollment_version
    compared = missed + len(face_ids)
    if not len(face_ids) <= compared <= recent["listed_faces"]:
        raise SearchOutdated
    if missed:
        near = await session.row(
            "find_recent_duplicate",
            person_id=person_id,
            face_ids=face_ids,
            compared_faces=compared,
            max_distance=threshold,
        )
        if near is not None:
            raise DuplicateFound(indexes[near["face_id"]], near["person_id"])
