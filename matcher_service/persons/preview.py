"""What is known of an enrollment before anything is encoded or locked."""

import dataclasses
import datetime
import uuid

from matcher_service.persons.duplicate_refusal import SearchOutdated


@dataclasses.dataclass(frozen=True)
class ReplayedFace:
    """A face as it was answered; `external_ref` is None where the face was deleted since."""

    face_id: uuid.UUID
    already_enrolled: bool
    fingerprint: str
    external_ref: str | None
    create_time: datetime.datetime
    expire_time: datetime.datetime | None


@dataclasses.dataclass(frozen=True)
class Replay:
    """What a request id was answered with before; `person_exists` unless that person was erased.

    `same_content` says whether that was asked for which is asked for now, and False for an erased person's.
    """

    same_content: bool
    person_exists: bool
    person_created: bool
    faces: list[ReplayedFace]


@dataclasses.dataclass(frozen=True)
class Policy:
    """What a collection asks of a face to enroll; `duplicates` is allow, flag or refuse.

    `refused_qualities` are the encoder's reasons for which a face is refused.
    """

    duplicates: str
    duplicate_threshold: float
    min_face_pixels: int
    refused_qualities: frozenset[str]

    def check_current(self, duplicates: str, threshold: float) -> None:
        """Raises SearchOutdated where the policy in force refuses what was not searched for by this one."""
        searched = (self.duplicates, self.duplicate_threshold)
        if duplicates == "refuse" and searched != (duplicates, threshold):
            raise SearchOutdated


@dataclasses.dataclass(frozen=True)
class Preview:
    """What is known of an enrollment before anything is encoded or locked.

    `enrolled` counts the faces that the collection took, where it refuses duplicates.
    """

    space: str
    policy: Policy
    replay: Replay | None
    known_content_ids: frozenset[uuid.UUID]
    enrolled: int | None
