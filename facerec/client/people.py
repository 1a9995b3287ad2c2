"""What the matcher answers. Times are UTC; distances Euclidean in the encodings' space.

A caller whose key has no scores learns of a distance only whether it is within the threshold: distances are
None, the ids of the faces they are measured to are empty, and people come in the order of their ids.
"""

import dataclasses
import datetime
from typing import Any, Self

from facerec.client.faces import BoundingBox, Quality
from facerec.client.scores import distance
from facerec.client.times import utc
from facerec.matcher import v1


@dataclasses.dataclass(frozen=True)
class Person:
    """Somebody enrolled."""

    person_id: str
    display_name: str
    face_count: int
    create_time: datetime.datetime
    update_time: datetime.datetime

    @classmethod
    def from_message(cls, message: v1.Person) -> Self:
        """Read the contract's message."""
        return cls(
            message.person_id,
            message.display_name,
            message.face_count,
            utc(message.create_time),
            utc(message.update_time),
        )


@dataclasses.dataclass(frozen=True)
class StoredFace:
    """One stored face, without its vector. `expire_time` is None for never."""

    face_id: str
    person_id: str
    external_ref: str
    space: str
    fingerprint: str
    create_time: datetime.datetime
    expire_time: datetime.datetime | None = None

    @classmethod
    def from_message(cls, message: v1.Face) -> Self:
        """Read the contract's message."""
        return cls(
            message.face_id,
            message.person_id,
            message.external_ref,
            message.space,
            message.fingerprint,
            utc(message.create_time),
            utc(message.expire_time) if message.HasField("expire_time") else None,
        )


@dataclasses.dataclass(frozen=True)
class Duplicate:
    """Another person as near to an enrolled face as a duplicate, by the nearest of their faces.

    Without scores `distance` is None and `face_id` empty.
    """

    person_id: str
    distance: float | None
    face_id: str


@dataclasses.dataclass(frozen=True)
class EnrolledFace:
    """The outcome of one item; `already_enrolled` says that nothing was added.

    `duplicate` is the nearest other person within the collection's duplicate threshold, without scores the
    first by id. `duplicate_check` is how the others were searched, exact or index; empty where they were not,
    and without scores.
    """

    face: StoredFace
    already_enrolled: bool
    duplicate: Duplicate | None = None
    duplicate_check: str = ""
    quality: Quality | None = None

    @classmethod
    def from_message(cls, message: v1.EnrolledFace) -> Self:
        """Read the contract's message."""
        found = message.duplicate
        return cls(
            StoredFace.from_message(message.face),
            message.already_enrolled,
            Duplicate(found.person_id, distance(found), found.face_id)
            if message.HasField("duplicate")
            else None,
            _mode(message.duplicate_check) if message.duplicate_check else "",
            _quality(message, "quality"),
        )


@dataclasses.dataclass(frozen=True)
class Enrollment:
    """The person after an enrolment, and one outcome an item, in their order."""

    person: Person
    faces: tuple[EnrolledFace, ...]
    person_created: bool

    @classmethod
    def from_message(cls, message: v1.EnrollResponse) -> Self:
        """Read the contract's message."""
        faces = tuple(map(EnrolledFace.from_message, message.faces))
        return cls(Person.from_message(message.person), faces, message.person_created)


@dataclasses.dataclass(frozen=True)
class Verification:
    """The decision on a claim: the nearest of the person's faces decides.

    Without scores `distance` is None and `nearest_face_id` empty.
    """

    match: bool
    distance: float | None
    threshold: float
    nearest_face_id: str
    faces_compared: int
    space: str
    quality: Quality | None = None

    @classmethod
    def from_message(cls, message: v1.VerifyResponse) -> Self:
        """Read the contract's message."""
        return cls(
            message.match,
            distance(message),
            message.threshold,
            message.nearest_face_id,
            message.faces_compared,
            message.space,
            _quality(message, "quality"),
        )


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A person a face may be, with the nearest of the person's faces.

    Without scores `distance` is None and `face_id` empty.
    """

    person_id: str
    display_name: str
    distance: float | None
    face_id: str


@dataclasses.dataclass(frozen=True)
class IdentifiedFace:
    """The answer for one face: people near enough, nearest first; none for nobody.

    `bounding_box` is None where the probe was not an image. `mode` is exact, index or
    index_confirmed; `exact` says that no nearer face can have been missed. `matched_persons` counts the
    people near enough, of whom `candidates` may be a part; 101 means more than 100.

    Without scores the candidates come in the order of their ids: where `matched_persons` is more than one,
    the first is not the likeliest. `mode` is then empty, `exact` and `faces_searched` are None.
    """

    probe_index: int
    bounding_box: BoundingBox | None
    candidates: tuple[Candidate, ...]
    mode: str
    exact: bool | None
    faces_searched: int | None
    quality: Quality | None = None
    matched_persons: int = 0

    @classmethod
    def from_message(cls, message: v1.IdentifiedFace) -> Self:
        """Read the contract's message."""
        box = BoundingBox.from_message(message.bounding_box) if message.HasField("bounding_box") else None
        told = message.HasField("exact")
        candidates = tuple(
            Candidate(c.person_id, c.display_name, distance(c), c.face_id) for c in message.candidates
        )
        return cls(
            message.probe_index,
            box,
            candidates,
            _mode(message.mode) if told else "",
            message.exact if told else None,
            message.faces_searched if told else None,
            _quality(message, "quality"),
            message.matched_persons,
        )


@dataclasses.dataclass(frozen=True)
class Identification:
    """One answer a probe or, with `all_faces`, one a face of each image, largest first.

    `expected_false_hits` is how many faces a stranger's is to be expected to match, by the calibration in
    force, with the upper end of its 95 % interval; None without one.
    """

    faces: tuple[IdentifiedFace, ...]
    threshold: float
    space: str
    expected_false_hits: float | None = None
    expected_false_hits_high: float | None = None

    @classmethod
    def from_message(cls, message: v1.IdentifyResponse) -> Self:
        """Read the contract's message."""
        calibrated = message.HasField("expected_false_hits")
        return cls(
            tuple(map(IdentifiedFace.from_message, message.faces)),
            message.threshold,
            message.space,
            message.expected_false_hits if calibrated else None,
            message.expected_false_hits_high if calibrated else None,
        )


@dataclasses.dataclass(frozen=True)
class Comparison:
    """The measure of two faces."""

    match: bool
    distance: float | None
    threshold: float
    space: str
    quality_a: Quality | None = None
    quality_b: Quality | None = None

    @classmethod
    def from_message(cls, message: v1.CompareResponse) -> Self:
        """Read the contract's message."""
        return cls(
            message.match,
            distance(message),
            message.threshold,
            message.space,
            _quality(message, "quality_a"),
            _quality(message, "quality_b"),
        )


@dataclasses.dataclass(frozen=True)
class Merge:
    """The person left by a merge, and how many faces they were given."""

    person: Person
    faces_moved: int

    @classmethod
    def from_message(cls, message: v1.MergePersonsResponse) -> Self:
        """Read the contract's message."""
        return cls(Person.from_message(message.person), message.faces_moved)


@dataclasses.dataclass(frozen=True)
class Erasure:
    """The receipt of an erasure: counts of 0 and no id when there was nothing to erase.

    `state` is pending (committed, and seen by no call), vacuumed (no dead row is left) or scrubbed (the
    tables' files were written anew); a receipt just given is pending, or empty without an id.
    """

    persons_deleted: int
    faces_deleted: int
    delete_time: datetime.datetime
    erasure_id: str = ""
    state: str = ""
    vacuum_time: datetime.datetime | None = None
    scrub_time: datetime.datetime | None = None

    @classmethod
    def from_message(cls, message: v1.DeletePersonResponse | v1.DeleteFaceResponse) -> Self:
        """Read either receipt of the contract; erasing a face erases no person."""
        persons = message.persons_deleted if isinstance(message, v1.DeletePersonResponse) else 0
        state = "pending" if message.erasure_id else ""
        return cls(persons, message.faces_deleted, utc(message.delete_time), message.erasure_id, state)

    @classmethod
    def from_progress(cls, message: v1.GetErasureResponse, erasure_id: str) -> Self:
        """Read what has become of an erasure."""
        return cls(
            message.persons_deleted,
            message.faces_deleted,
            utc(message.delete_time),
            erasure_id,
            v1.ErasureState.Name(message.state).removeprefix("ERASURE_STATE_").lower(),
            utc(message.vacuum_time) if message.HasField("vacuum_time") else None,
            utc(message.scrub_time) if message.HasField("scrub_time") else None,
        )


def _quality(message: Any, field: str) -> Quality | None:
    """How fit a probe's face is to be compared; None where the probe is not an image."""
    return Quality.from_message(getattr(message, field)) if message.HasField(field) else None


def _mode(mode: v1.SearchMode.ValueType) -> str:
    return v1.SearchMode.Name(mode).removeprefix("SEARCH_MODE_").lower()
