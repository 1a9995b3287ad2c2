"""What the matcher answers of collections. Times are UTC; distances Euclidean in the encodings' space."""

import dataclasses
import datetime
from typing import Self

from google.protobuf.duration_pb2 import Duration

from facerec.client.times import utc
from facerec.encoder import v1 as encoder
from facerec.errors import FacerecError, Reason
from facerec.matcher import v1

POLICIES = ("allow", "flag", "refuse")
QUALITY_REASONS = tuple(
    name.removeprefix("QUALITY_REASON_")
    for name, number in encoder.QualityReason.items()
    if number != encoder.QUALITY_REASON_UNSPECIFIED
)


@dataclasses.dataclass(frozen=True)
class CollectionSettings:
    """What can be changed of a collection; in a request None leaves a setting as it is.

    `duplicate_policy` is allow, flag or refuse; a `retention` of 0 is for ever; `refused_qualities` are of
    QUALITY_REASONS, and an empty tuple refuses no face.
    """

    display_name: str | None = None
    verify_threshold: float | None = None
    identify_threshold: float | None = None
    duplicate_policy: str | None = None
    duplicate_threshold: float | None = None
    min_face_pixels: int | None = None
    exact_only: bool | None = None
    index_above_faces: int | None = None
    trust_distance: float | None = None
    target_recall: float | None = None
    retention: datetime.timedelta | None = None
    refused_qualities: tuple[str, ...] | None = None

    @classmethod
    def from_message(cls, message: v1.CollectionSettings) -> Self:
        """Read the contract's message of a collection, in which all are set."""
        return cls(
            display_name=message.display_name,
            verify_threshold=message.verify_threshold,
            identify_threshold=message.identify_threshold,
            duplicate_policy=v1.DuplicatePolicy.Name(message.duplicate_policy)
            .removeprefix("DUPLICATE_POLICY_")
            .lower(),
            duplicate_threshold=message.duplicate_threshold,
            min_face_pixels=message.quality.min_face_pixels,
            exact_only=message.search.exact_only,
            index_above_faces=message.search.index_above_faces,
            trust_distance=message.search.trust_distance,
            target_recall=message.search.target_recall,
            retention=message.retention.ToTimedelta(),
            refused_qualities=tuple(
                encoder.QualityReason.Name(reason).removeprefix("QUALITY_REASON_")
                for reason in message.quality.refused.reasons
            ),
        )

    def to_message(self) -> v1.CollectionSettings:
        """Write the contract's message. Raises FacerecError OPTION_INVALID."""
        return v1.CollectionSettings(
            display_name=self.display_name,
            verify_threshold=self.verify_threshold,
            identify_threshold=self.identify_threshold,
            duplicate_policy=_policy(self.duplicate_policy),
            duplicate_threshold=self.duplicate_threshold,
            quality=v1.QualityPolicy(
                min_face_pixels=_whole(self.min_face_pixels, "settings.quality.min_face_pixels", 32),
                refused=_refused(self.refused_qualities),
            ),
            search=v1.SearchPolicy(
                exact_only=self.exact_only,
                index_above_faces=_whole(self.index_above_faces, "settings.search.index_above_faces", 64),
                trust_distance=self.trust_distance,
                target_recall=self.target_recall,
            ),
            retention=_duration(self.retention),
        )


def _policy(name: str | None) -> v1.DuplicatePolicy.ValueType:
    if name is None:
        return v1.DUPLICATE_POLICY_UNSPECIFIED
    if name not in POLICIES:
        raise FacerecError(
            f"duplicate_policy is one of {', '.join(POLICIES)}",
            reason=Reason.OPTION_INVALID,
            field="settings.duplicate_policy",
        )
    return v1.DuplicatePolicy.Value(f"DUPLICATE_POLICY_{name.upper()}")


def _refused(names: tuple[str, ...] | None) -> v1.RefusedQualities | None:
    if names is None:
        return None
    for name in names:
        if name not in QUALITY_REASONS:
            raise FacerecError(
                f"{name} is none of {', '.join(QUALITY_REASONS)}",
                reason=Reason.OPTION_INVALID,
                field="settings.quality.refused.reasons",
            )
    return v1.RefusedQualities(
        reasons=[encoder.QualityReason.Value(f"QUALITY_REASON_{name}") for name in names]
    )


def _whole(number: int | None, field: str, bits: int) -> int | None:
    """A number that a message can carry; the service knows its real range."""
    if number is not None and not 0 <= number < 2**bits:
        raise FacerecError(
            f"{field.rpartition('.')[2]} is out of range", reason=Reason.OPTION_INVALID, field=field
        )
    return number


def _duration(length: datetime.timedelta | None) -> Duration | None:
    if length is None:
        return None
    message = Duration()
    message.FromTimedelta(length)
    return message


@dataclasses.dataclass(frozen=True)
class SearchIndex:
    """The state of a collection's index, which maintenance builds.

    `recall` is None before it was measured, `build_time` None where there is no index, `build_phase`
    empty where no build is under way; `build_done` is from 0 to 1. `far_recall` is the recall of faces far
    from the centers that the index goes by; `recall_low` and `far_recall_low` are lower ends of 95 %
    intervals. An index that was built and is not `ready` misses its target, and every search is exact.
    """

    ready: bool
    persons: int
    faces: int
    recall: float | None
    build_time: datetime.datetime | None
    build_phase: str
    build_done: float
    recall_time: datetime.datetime | None
    recall_low: float | None
    far_recall: float | None
    far_recall_low: float | None

    @classmethod
    def from_message(cls, message: v1.SearchIndex) -> Self:
        """Read the contract's message."""
        return cls(
            ready=message.ready,
            persons=message.persons,
            faces=message.faces,
            recall=message.recall if message.HasField("recall") else None,
            build_time=utc(message.build_time) if message.HasField("build_time") else None,
            build_phase=message.build_phase,
            build_done=message.build_done,
            recall_time=utc(message.recall_time) if message.HasField("recall_time") else None,
            recall_low=message.recall_low if message.HasField("recall_low") else None,
            far_recall=message.far_recall if message.HasField("far_recall") else None,
            far_recall_low=message.far_recall_low if message.HasField("far_recall_low") else None,
        )


@dataclasses.dataclass(frozen=True)
class Collection:
    """A tenant's gallery, with all its settings; `estimated_faces` is about how many it has.

    `calibration_id` is of the calibration that was last applied, empty where none was.
    """

    collection_id: str
    space: str
    settings: CollectionSettings
    estimated_faces: int
    index: SearchIndex
    create_time: datetime.datetime
    update_time: datetime.datetime
    calibration_id: str

    @classmethod
    def from_message(cls, message: v1.Collection) -> Self:
        """Read the contract's message."""
        return cls(
            collection_id=message.collection_id,
            space=message.space,
            settings=CollectionSettings.from_message(message.settings),
            estimated_faces=message.estimated_faces,
            index=SearchIndex.from_message(message.index),
            create_time=utc(message.create_time),
            update_time=utc(message.update_time),
            calibration_id=message.calibration_id,
        )


@dataclasses.dataclass(frozen=True)
class CollectionErasure:
    """The receipt of a collection's erasure: counts of 0 when none of that id was there."""

    collections_deleted: int
    persons_deleted: int
    faces_deleted: int
    delete_time: datetime.datetime

    @classmethod
    def from_message(cls, message: v1.DeleteCollectionResponse) -> Self:
        """Read the contract's message."""
        return cls(
            message.collections_deleted,
            message.persons_deleted,
            message.faces_deleted,
            utc(message.delete_time),
        )
