"""The state that an enrollment reads before anything is encoded or locked."""

import dataclasses
import datetime
import uuid

from facerec.quality import Quality


class SearchOutdated(Exception):
    """The search of other persons is outdated; nothing of the call was stored."""


@dataclasses.dataclass(frozen=True)
class ReplayedFace:
    """A face of an earlier answer; `external_ref` is None if the face was deleted since.

    `quality` is None if it was not stored, and for a deleted face too.
    """

    face_id: uuid.UUID
    already_enrolled: bool
    fingerprint: str
    external_ref: str | None
    create_time: datetime.datetime
    expire_time: datetime.datetime | None
    quality: Quality | None


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
    """A collection's policy for enrolling a face; `duplicates` and `consistency` are allow, flag or refuse.

    `refused_qualities` are the encoder's reasons for which a face is refused.
    """

    duplicates: str
    duplicate_threshold: float
    min_face_pixels: int
    refused_qualities: frozenset[str]
    consistency: str

    @property
    def searches(self) -> bool:
        """Whether other persons are searched."""
        return self.duplicates != "allow" or self.consistency == "refuse"

    @property
    def refuses(self) -> bool:
        """Whether a face may be refused for what other persons' faces are."""
        return "refuse" in (self.duplicates, self.consistency)

    def check_current(self, duplicates: str, threshold: float, consistency: str) -> None:
        """Raises SearchOutdated if the current policy refuses faces that this one did not search for."""
        now = (duplicates, consistency)
        changed = [
            one == "refuse" and one != was
            for one, was in zip(now, (self.duplicates, self.consistency), strict=True)
        ]
        if any(changed) or ("refuse" in now and threshold != self.duplicate_threshold):
            raise SearchOutdated


@dataclasses.dataclass(frozen=True)
class Preview:
    """The state that an enrollment reads before anything is encoded or locked.

    `enrollment_version` grows with each face enrolled in a collection that refuses some, and whenever a
    search of other persons may be outdated otherwise; None if the collection has never refused any.
    """

    space: str
    policy: Policy
    replay: Replay | None
    known_content_ids: frozenset[uuid.UUID]
    enrollment_version: int | None
