"""The state that an enrollment reads before anything is encoded or locked."""

import dataclasses
import datetime
import uuid

from matcher_service.persons.duplicate_refusal import SearchOutdated


@dataclasses.dataclass(frozen=True)
class ReplayedFace:
    """A face of an earlier answer; `external_ref` is None if the face was deleted since."""

    face_id: uuid.UUID
    already_enrolled: bool
    fingerprint: str
    external_ref: str | None
    create_time: datetime.datetime
    expire_time: datetime.datetime | None


@dataclasses.dataclass(frozen=True)
class Replay:
    """The earlier answer to a request id; `person_exists` is False if its person was erased.

    `same_content` is whether both requests have the same content; False for an erased person. `renamed` is
    whether the person has another id than this request's.
    """

    same_content: bool
    person_exists: bool
    renamed: bool
    person_created: bool
    faces: list[ReplayedFace]


@dataclasses.dataclass(frozen=True)
class Policy:
    """A collection's policy for enrolling a face; `duplicates` is allow, flag or refuse.

    `refused_qualities` are the encoder's reasons for which a face is refused.
    """

    duplicates: str
    duplicate_threshold: float
    min_face_pixels: int
    refused_qualities: frozenset[str]

    def check_current(self, duplicates: str, threshold: float) -> None:
        """Raises SearchOutdated if the current policy refuses duplicates that this one did not search for."""
        searched = (self.duplicates, self.duplicate_threshold)
        if duplicates == "refuse" and searched != (duplicates, threshold):
            raise SearchOutdated


@dataclasses.dataclass(frozen=True)
class Preview:
    """The state that an enrollment reads before anything is encoded or locked.

    `enrollment_version` grows with each face enrolled in a collection that refuses duplicates, and whenever a
    search for duplicates may be outdated otherwise; None if the collection has never refused them.
    """

    space: str
    policy: Policy
    replay: Replay | None
    known_content_ids: frozenset[uuid.UUID]
    enrollment_version: int | None
