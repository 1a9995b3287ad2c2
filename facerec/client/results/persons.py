"""Persons and their stored faces, and the receipts of merging and erasing them."""

import dataclasses
import datetime
from typing import Self

from facerec.client.attributes import Labels, Metadata, metadata_of
from facerec.client.results.faces import quality_of
from facerec.client.times import utc
from facerec.matcher import v1
from facerec.quality import Quality


@dataclasses.dataclass(frozen=True)
class Person:
    """A person of a collection.

    Attributes:
        person_id: The caller's id of the person, in Unicode Normalization Form C (NFC).
        display_name: The display text; "" where there is none.
        face_count: How many faces the person has.
        create_time: When the person was first enrolled.
        update_time: When the person or their faces last changed.
        labels: The person's labels, by which persons can be searched.
        metadata: The caller's own data; empty where there is none.
        suspended: Whether the person matches no claim, until `update_person` resumes them.
    """

    person_id: str
    display_name: str
    face_count: int
    create_time: datetime.datetime
    update_time: datetime.datetime
    labels: Labels = dataclasses.field(default_factory=dict, hash=False)
    metadata: Metadata = dataclasses.field(default_factory=dict, hash=False)
    suspended: bool = False

    @classmethod
    def from_message(cls, message: v1.Person) -> Self:
        """Read the contract's message."""
        return cls(
            message.person_id,
            message.display_name,
            message.face_count,
            utc(message.create_time),
            utc(message.update_time),
            dict(message.labels),
            metadata_of(message),
            message.suspended,
        )


@dataclasses.dataclass(frozen=True)
class StoredFace:
    """A stored face, without its vector.

    Attributes:
        face_id: The face's id, a UUID in its 36-character form; a `Probe` may name the face by it.
        person_id: Whose face it is.
        external_ref: The caller's own reference to the face; "" where there is none.
        space: The space of its encoding.
        fingerprint: The provenance of its encoding (see `Encoding`); "" where unknown.
        create_time: When the face was enrolled.
        expire_time: When the face expires: from then on no call sees it. None for never.
        quality: How fit for comparison the face is in the image that it was enrolled from, with measures in
            single precision; of a copy of a stored face, that of the face copied. None for a face that was
            enrolled as an encoding, imported, or stored by a release that kept no quality.
    """

    face_id: str
    person_id: str
    external_ref: str
    space: str
    fingerprint: str
    create_time: datetime.datetime
    expire_time: datetime.datetime | None = None
    quality: Quality | None = None

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
            quality_of(message),
        )


@dataclasses.dataclass(frozen=True)
class Merge:
    """The answer of `merge_persons`.

    Attributes:
        person: The target after the merge.
        faces_moved: How many faces were moved to the target. Faces that both had are kept once.
        moved_face_ids: The ids of the faces that were moved, UUIDs in their 36-character form: `move_faces`
            with them takes the merge back.
    """

    person: Person
    faces_moved: int
    moved_face_ids: tuple[str, ...] = ()

    @classmethod
    def from_message(cls, message: v1.MergePersonsResponse) -> Self:
        """Read the contract's message."""
        return cls(Person.from_message(message.person), message.faces_moved, tuple(message.moved_face_ids))


@dataclasses.dataclass(frozen=True)
class Move:
    """The answer of `move_faces`.

    Attributes:
        person: The target after the move.
        person_created: Whether the call added the target.
        faces_moved: How many faces were moved.
        copies_deleted: How many faces were erased instead, because the target has, or gets, the same photo or
            encoding.
    """

    person: Person
    person_created: bool
    faces_moved: int
    copies_deleted: int

    @classmethod
    def from_message(cls, message: v1.MoveFacesResponse) -> Self:
        """Read the contract's message."""
        return cls(
            Person.from_message(message.person),
            message.person_created,
            message.faces_moved,
            message.copies_deleted,
        )


@dataclasses.dataclass(frozen=True)
class Erasure:
    """The receipt of `delete_person`, `delete_persons` or `delete_face`, or its progress (`get_erasure`).

    Attributes:
        persons_deleted: How many persons were erased: 0 where there was nobody or a face was erased.
        faces_deleted: How many faces were erased; 0 where there was nothing to erase.
        delete_time: When the erasure was committed.
        erasure_id: The id for `get_erasure`, a UUID; "" where nothing was erased.
        state: `pending`: committed, and no call sees what was erased. `vacuumed`: the tables have no dead row
            of it left. `scrubbed`: the tables' files were rewritten, too. A receipt is `pending`, or ""
            without an id.
        vacuum_time: When no dead row was left; None before.
        scrub_time: When the files had been rewritten; None before.
    """

    persons_deleted: int
    faces_deleted: int
    delete_time: datetime.datetime
    erasure_id: str = ""
    state: str = ""
    vacuum_time: datetime.datetime | None = None
    scrub_time: datetime.datetime | None = None

    @classmethod
    def from_message(
        cls, message: v1.DeletePersonResponse | v1.BatchDeletePersonsResponse | v1.DeleteFaceResponse
    ) -> Self:
        """Read any receipt of the contract."""
        persons = 0 if isinstance(message, v1.DeleteFaceResponse) else message.persons_deleted
        state = "pending" if message.erasure_id else ""
        return cls(persons, message.faces_deleted, utc(message.delete_time), message.erasure_id, state)

    @classmethod
    def from_progress(cls, message: v1.GetErasureResponse, erasure_id: str) -> Self:
        """Read the progress of an erasure."""
        return cls(
            message.persons_deleted,
            message.faces_deleted,
            utc(message.delete_time),
            erasure_id,
            v1.ErasureState.Name(message.state).removeprefix("ERASURE_STATE_").lower(),
            utc(message.vacuum_time) if message.HasField("vacuum_time") else None,
            utc(message.scrub_time) if message.HasField("scrub_time") else None,
        )
