"""The answer of `enroll`."""

import dataclasses
from typing import Self

from facerec.client.results.decisions import search_mode
from facerec.client.results.distances import distance
from facerec.client.results.faces import quality_of
from facerec.client.results.persons import Person, StoredFace
from facerec.matcher import v1
from facerec.quality import Quality


@dataclasses.dataclass(frozen=True)
class Duplicate:
    """Another person with a face within the duplicate threshold of an enrolled one.

    Attributes:
        person_id: The other person.
        distance: From the enrolled face to the nearest of the other person's; None without `scores`.
        face_id: That nearest face; "" without `scores`.
    """

    person_id: str
    distance: float | None
    face_id: str


@dataclasses.dataclass(frozen=True)
class Inconsistency:
    """Another person to whose face an enrolled one is nearer than to those that its person had.

    Attributes:
        person_id: The other person.
        distance: From the enrolled face to the nearest of the other person's; None without `scores`.
        own_distance: From the enrolled face to the nearest that its person had; None without `scores`.
        face_id: The other person's face; "" without `scores`.
        own_face_id: The person's own face; "" without `scores`.
    """

    person_id: str
    distance: float | None
    own_distance: float | None
    face_id: str
    own_face_id: str

    @classmethod
    def from_message(cls, message: v1.Inconsistency) -> Self:
        """Read the contract's message."""
        return cls(
            message.person_id,
            distance(message),
            message.own_distance if message.HasField("own_distance") else None,
            message.face_id,
            message.own_face_id,
        )


@dataclasses.dataclass(frozen=True)
class EnrolledFace:
    """The outcome of one face of an enrollment.

    Attributes:
        face: The stored face.
        already_enrolled: Whether the person already had this photo or encoding, so that nothing was added.
        duplicate: The nearest other person within the collection's `duplicate_threshold`; without `scores`
            the first of those by id. None where there is none, or where there was no check.
        duplicate_check: How the other persons were searched: `exact` or `index`. "" where they were not (by
            the collection's `duplicate_policy`, for a face that was already enrolled, or for a caller without
            permission), and without `scores`.
        quality: How fit the face is to be compared; None where it was not given as an image, or was enrolled
            already.
        inconsistency: The nearest other person, where that is within the collection's `duplicate_threshold`
            and nearer than each face that the person had before; without `scores` the first by id within it,
            where none of the person's own is. None otherwise, also where the person had no face, or where
            others were not searched.
    """

    face: StoredFace
    already_enrolled: bool
    duplicate: Duplicate | None = None
    duplicate_check: str = ""
    quality: Quality | None = None
    inconsistency: Inconsistency | None = None

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
            search_mode(message.duplicate_check) if message.duplicate_check else "",
            quality_of(message),
            Inconsistency.from_message(message.inconsistency) if message.HasField("inconsistency") else None,
        )


@dataclasses.dataclass(frozen=True)
class Enrollment:
    """The answer of `enroll`.

    Attributes:
        person: The person after the enrollment.
        faces: The outcome of each face, in the order in which they were given.
        person_created: Whether the person was new.
    """

    person: Person
    faces: tuple[EnrolledFace, ...]
    person_created: bool

    @classmethod
    def from_message(cls, message: v1.EnrollResponse) -> Self:
        """Read the contract's message."""
        faces = tuple(map(EnrolledFace.from_message, message.faces))
        return cls(Person.from_message(message.person), faces, message.person_created)
