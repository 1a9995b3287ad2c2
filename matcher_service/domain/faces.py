"""Probes, people, faces and decisions."""

import dataclasses
import datetime
import enum
import uuid
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from facerec.quality import Quality
from matcher_service.domain.attributes import AttributeChange, Attributes

MAX_VALUE = (
    1000.0  # of an encoding, absolute: dlib's stay within 1, and an index cannot hold values above 65504
)


@dataclasses.dataclass(frozen=True)
class Encoding:
    """A face's vector, shape (128,) and within MAX_VALUE, with its space; `fingerprint` is its provenance."""

    values: npt.NDArray[np.float32]
    space: str
    fingerprint: str = ""


@dataclasses.dataclass(frozen=True)
class Photo:
    """An image file that shows the face (JPEG, PNG, ...)."""

    image: bytes
    use_largest_face: bool = False


@dataclasses.dataclass(frozen=True)
class Probe:
    """A face to compare or to enroll: a vector, a photo, or the id of a face of the same collection.

    `field` is its path in the request, which errors name: `items[2].probe`.
    """

    face: Encoding | Photo | uuid.UUID
    field: str


@dataclasses.dataclass(frozen=True)
class PersonProbe:
    """A person of the same collection whose faces are compared, all of them. `field` is as in Probe."""

    person_id: str
    field: str


@dataclasses.dataclass(frozen=True)
class BoundingBox:
    """The box of a face in pixels of the upright image; edges are inclusive and not clipped to the image.

    `image_width` and `image_height` are the size of that image.
    """

    top: int
    right: int
    bottom: int
    left: int
    image_width: int
    image_height: int


@dataclasses.dataclass(frozen=True)
class EncodedFace:
    """A face the encoder found."""

    encoding: Encoding
    box: BoundingBox
    quality: Quality


class Encoder(Protocol):
    """Computes the encodings of the faces in an image."""

    async def encode(
        self, image: bytes, *, max_faces: int, field: str, min_face_pixels: int = 0
    ) -> list[EncodedFace]:
        """Return the faces of an image, largest first, at most `max_faces` (0: all).

        `min_face_pixels` is the smallest shorter side of faces to look for (0: the encoder's own choice).
        `field` is the request's field that holds the image. Raises ImageRefused, Overloaded,
        EncoderUnavailable.
        """


@dataclasses.dataclass(frozen=True)
class Person:
    """Somebody enrolled, with a count of their faces. One who is suspended matches no claim."""

    person_id: str
    display_name: str
    faces: int
    create_time: datetime.datetime
    update_time: datetime.datetime
    attributes: Attributes = dataclasses.field(default_factory=Attributes)
    suspended: bool = False


@dataclasses.dataclass(frozen=True)
class PersonChange:
    """A change of a person: None leaves `display_name` as it is."""

    display_name: str | None
    attributes: AttributeChange


@dataclasses.dataclass(frozen=True)
class Face:
    """A stored face without its vector.

    `quality` is of the photo it was enrolled from, in single precision; None where there was none.
    """

    face_id: uuid.UUID
    person_id: str
    external_ref: str
    space: str
    fingerprint: str
    create_time: datetime.datetime
    expire_time: datetime.datetime | None = None
    quality: Quality | None = None


@dataclasses.dataclass(frozen=True)
class FaceChange:
    """A change of a face: None leaves `external_ref` as it is.

    `expire_time` is set only with `changes_expiry`; None means that the face never expires.
    """

    external_ref: str | None = None
    changes_expiry: bool = False
    expire_time: datetime.datetime | None = None

    @property
    def names(self) -> list[str]:
        """The fields that change, as the contract names them."""
        changed = {"external_ref": self.external_ref is not None, "expire_time": self.changes_expiry}
        return [name for name, changes in changed.items() if changes]


class SearchMode(enum.Enum):
    """How a collection was searched."""

    EXACT = "exact"  # every face was compared
    INDEX = "index"  # the index's result was accepted
    INDEX_CONFIRMED = "index_confirmed"  # an index was queried and an exact scan decided


class ScoreRule(enum.Enum):
    """How Verify makes one distance of those to a person's faces; the values are stored."""

    NEAREST = "nearest"  # that of the nearest
    ROOT_MEAN_SQUARE = "root_mean_square"  # the root of the mean of all squared distances


@dataclasses.dataclass(frozen=True)
class Inconsistency:
    """A face nearer to another person's than to the nearest that its person had, `own_face_id`."""

    other: "Candidate"
    own_face_id: uuid.UUID
    own_distance: float


@dataclasses.dataclass(frozen=True)
class OthersCheck:
    """How other persons were searched, the duplicate that was found, and the inconsistency, if any."""

    mode: SearchMode
    other: "Candidate | None"
    inconsistency: Inconsistency | None = None


@dataclasses.dataclass(frozen=True)
class EnrolledFace:
    """The result of one item: the face, and whether the person had this photo already."""

    face: Face
    already_enrolled: bool
    others: OthersCheck | None = None
    quality: Quality | None = None


@dataclasses.dataclass(frozen=True)
class Merge:
    """The target person after a merge, and the faces moved to it."""

    person: Person
    moved_face_ids: list[uuid.UUID]


@dataclasses.dataclass(frozen=True)
class Move:
    """The person after faces were moved to them, and whether they were added for it.

    `faces_moved` counts the faces that came, `copies_deleted` those that were kept once instead.
    """

    person: Person
    person_created: bool
    faces_moved: int
    copies_deleted: int


@dataclasses.dataclass(frozen=True)
class Enrollment:
    """The result of an enrollment: the person afterwards, and the faces in the order of the items."""

    person: Person
    person_created: bool
    faces: list[EnrolledFace]


@dataclasses.dataclass(frozen=True)
class Erasure:
    """The receipt of an erasure; without an id if nothing was erased.

    `vacuum_time` is when no dead row was left, `scrub_time` when the files had been rewritten.
    """

    persons: int
    faces: int
    delete_time: datetime.datetime
    erasure_id: uuid.UUID | None = None
    vacuum_time: datetime.datetime | None = None
    scrub_time: datetime.datetime | None = None


@dataclasses.dataclass(frozen=True)
class Verification:
    """The decision on a claim by `rule`; `qualities` has one for each of its probes, None without a photo."""

    match: bool
    distance: float
    threshold: float
    nearest_face_id: uuid.UUID
    faces: int
    space: str
    rule: ScoreRule
    qualities: Sequence[Quality | None] = ()
    attributes: Attributes | None = None


@dataclasses.dataclass(frozen=True)
class Comparison:
    """The distance of two faces and the decision; of a person also the face that is the nearest."""

    match: bool
    distance: float
    threshold: float
    space: str
    quality_a: Quality | None = None
    quality_b: Quality | None = None
    face_id_a: uuid.UUID | None = None
    face_id_b: uuid.UUID | None = None


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A person whose nearest face is within the threshold; with attributes if they were asked for.

    `probe_face_id` is the face of the probe's person that the distance is from, if the probe is a person.
    """

    person_id: str
    display_name: str
    distance: float
    face_id: uuid.UUID
    attributes: Attributes | None = None
    probe_face_id: uuid.UUID | None = None


@dataclasses.dataclass(frozen=True)
class Identification:
    """The answer for one face: `faces` were compared, `matched_persons` are within the threshold.

    Photos of one person have one answer, with `qualities` of each, None for other probes; others have a
    `quality`.
    """

    probe_index: int
    box: BoundingBox | None
    candidates: list[Candidate]
    matched_persons: int
    faces: int
    threshold: float
    space: str
    mode: SearchMode
    quality: Quality | None = None
    expected: "ExpectedFalsePositives | None" = None
    qualities: Sequence[Quality | None] = ()


@dataclasses.dataclass(frozen=True)
class ExpectedFalsePositives:
    """Expected false positives of an unenrolled probe, in faces, and the upper end of its 95 % interval."""

    faces: float
    high: float
