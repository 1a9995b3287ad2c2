"""Refuses duplicates and inconsistent faces: a search before the enrollment, a comparison with newer faces at
its end.

So the search of a large collection holds no lock, and of two concurrent enrollments of one face the second
finds the first.
"""

import dataclasses
import uuid

from matcher_service.persons.preview import Policy, SearchOutdated
from matcher_service.postgres.database import Session

RECENT_FACES = 100  # a row of 1.6 kB; Postgres would store more than 2 kB out of line


class DuplicateFound(Exception):
    """The item at `index` is a duplicate of a face enrolled since the search; nothing was stored."""

    def __init__(self, index: int, person_id: str) -> None:
        super().__init__(index)
        self.index = index
        self.person_id = person_id


@dataclasses.dataclass(frozen=True)
class AddedFace:
    """A face that a transaction has added: of the item at `index`, with what the search found for it.

    `other_distance` is to the other person found within the duplicate threshold, None for nobody.
    """

    face_id: uuid.UUID
    index: int
    other_distance: float | None


async def check_added(
    session: Session,
    person_id: str,
    added: list[AddedFace],
    policy: Policy,
    *,
    enrollment_version: int | None,
    scores: bool,
) -> None:
    """Compare the faces just added with those enrolled since the search, as a transaction's last step.

    It blocks other enrollments until the transaction ends. `enrollment_version` is the collection's before
    the search; with `scores` inconsistency follows from distances, else from matches alone. Raises
    SearchOutdated, DuplicateFound.
    """
    face_ids = [face.face_id for face in added]
    recent = await session.row("record_recent_enrollment", face_ids=face_ids, max_listed=RECENT_FACES)
    if recent is None or enrollment_version is None:
        raise SearchOutdated
    missed = recent["version_before"] - enrollment_version
    compared = missed + len(face_ids)
    if not len(face_ids) <= compared <= recent["listed_faces"]:
        raise SearchOutdated
    bounds = {"compared_faces": compared, "max_distance": policy.duplicate_threshold}
    if missed and policy.duplicates == "refuse":
        near = await session.row("find_recent_duplicate", person_id=person_id, face_ids=face_ids, **bounds)
        if near is not None:
            raise DuplicateFound(added[face_ids.index(near["face_id"])].index, near["person_id"])
    if policy.consistency == "refuse" and await session.value(
        "find_recent_inconsistency",
        face_ids=face_ids,
        other_distances=[face.other_distance for face in added],
        by_match=not scores,
        **bounds,
    ):
        raise SearchOutdated  # the next search finds whose face is nearer, if it still is
