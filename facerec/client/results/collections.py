"""A collection, the state of its search index, and the receipt of its erasure."""

import dataclasses
import datetime
from typing import Self

from facerec.client.results.collection_settings import CollectionSettings
from facerec.client.times import utc
from facerec.matcher import v1


@dataclasses.dataclass(frozen=True)
class SearchIndex:
    """The state of a collection's search index, which maintenance builds.

    Recall is the share of searches for which the index finds the nearest person, 0 to 1. It is None before
    its first measurement, where there are too few persons to measure on, and without `scores`.

    Attributes:
        ready: Whether `identify` uses the index. An index (`build_time`) that is not ready has a recall below
            `target_recall`; every search is then exact.
        persons: How many persons it was built over.
        faces: About how many faces the collection had then.
        recall: The recall when last measured.
        build_time: When it was built; None where there is none.
        build_phase: What a build under way is doing; "" where none is.
        build_done: How far that phase is, 0 to 1.
        recall_time: When the recall was measured; None before.
        recall_low: The lower end of the recall's 95 % interval (Wilson's).
        far_recall: The recall of searches for faces far from the centers that the index is built over.
        far_recall_low: The lower end of its 95 % interval.
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
    """A collection: a tenant's persons and faces, apart from those of all others.

    Attributes:
        collection_id: The collection's id.
        space: The space of its encodings, which never changes.
        settings: All of its settings.
        estimated_faces: About how many faces it has; exactly where they are fewer than 10,000, except in
            `list_collections`.
        index: The state of its search index.
        create_time: When it was created.
        update_time: When its settings last changed.
        calibration_id: The calibration last applied; "" where none was.
        estimated_persons: About how many persons it has; exactly where they are fewer than 10,000, except in
            `list_collections`.
        faces_exact: Whether `estimated_faces` was counted.
        persons_exact: Whether `estimated_persons` was counted.
    """

    collection_id: str
    space: str
    settings: CollectionSettings
    estimated_faces: int
    index: SearchIndex
    create_time: datetime.datetime
    update_time: datetime.datetime
    calibration_id: str
    estimated_persons: int = 0
    faces_exact: bool = False
    persons_exact: bool = False

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
            estimated_persons=message.estimated_persons,
            faces_exact=message.faces_exact,
            persons_exact=message.persons_exact,
        )


@dataclasses.dataclass(frozen=True)
class CollectionErasure:
    """The receipt of `delete_collection`.

    Attributes:
        collections_deleted: 1, or 0 where there was no collection of that id.
        persons_deleted: How many persons were erased with it.
        faces_deleted: How many faces were erased with it.
        delete_time: When the erasure was committed.
    """

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
