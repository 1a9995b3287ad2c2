"""A collection, its settings and its index."""

import dataclasses
import datetime
import uuid


@dataclasses.dataclass(frozen=True)
class CollectionSettings:
    """The settings of a collection; None leaves a setting as it is.

    Distances are Euclidean. `duplicate_policy` and `consistency_policy` are allow, flag or refuse. A
    `retention` of 0 is for ever. `refused_qualities` are the encoder's quality reasons, such as BLURRED, that
    refuse a face. `score_rule` is a value of ScoreRule, and changes only together with `verify_threshold`.
    """

    display_name: str | None = None
    verify_threshold: float | None = None
    identify_threshold: float | None = None
    duplicate_policy: str | None = None
    duplicate_threshold: float | None = None
    consistency_policy: str | None = None
    min_face_pixels: int | None = None
    exact_only: bool | None = None
    index_above_faces: int | None = None
    acceptance_threshold: float | None = None
    target_recall: float | None = None
    retention: datetime.timedelta | None = None
    refused_qualities: tuple[str, ...] | None = None
    score_rule: str | None = None


@dataclasses.dataclass(frozen=True)
class SearchIndex:
    """The state of a collection's index; `build_phase` is "" unless a build runs.

    `far_recall` is the recall of faces far from their person's centers; fields ending in `_low` are the lower
    end of a 95 % interval.
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


@dataclasses.dataclass(frozen=True)
class Collection:
    """A collection with all its settings, and the calibration that was last applied.

    `faces_exact` and `persons_exact` say that the faces or people were counted.
    """

    collection_id: str
    space: str
    settings: CollectionSettings
    estimated_faces: int
    index: SearchIndex
    create_time: datetime.datetime
    update_time: datetime.datetime
    calibration_id: uuid.UUID | None
    estimated_persons: int
    faces_exact: bool = False
    persons_exact: bool = False


@dataclasses.dataclass(frozen=True)
class CollectionErasure:
    """The receipt of a collection's deletion."""

    collections: int
    persons: int
    faces: int
    delete_time: datetime.datetime
