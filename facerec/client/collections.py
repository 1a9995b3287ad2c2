"""Clients of the matcher's collections."""

import datetime
from typing import Any, ClassVar

from facerec.client.audit import AuditEvent, audit_kind
from facerec.client.calibrations import AppliedCalibration, Calibration
from facerec.client.calls import AsyncClient, Call, Client, Listing, ask, ask_async, each, each_async
from facerec.client.channel import COLLECTION_SERVICE
from facerec.client.galleries import Collection, CollectionErasure, CollectionSettings
from facerec.client.reviews import DuplicatePair, Recall
from facerec.client.times import timestamp
from facerec.matcher import v1


def create_collection(
    collection_id: str, settings: CollectionSettings | None = None, *, space: str = ""
) -> Call[Collection]:
    """Add an empty collection; what `settings` leave None is as in every new one.

    Not retried: after a lost answer, COLLECTION_EXISTS means that the call was carried out. Raises
    FacerecError: COLLECTION_EXISTS, ID_INVALID, OPTION_INVALID, ENCODING_INVALID for the space, and those
    of any call.
    """
    request = v1.CreateCollectionRequest(
        collection_id=collection_id, space=space, settings=(settings or CollectionSettings()).to_message()
    )
    return Call("CreateCollection", request, lambda response: Collection.from_message(response.collection))


def get_collection(collection_id: str = "") -> Call[Collection]:
    """One collection. Raises FacerecError: COLLECTION_NOT_FOUND, ID_INVALID and those of any call."""
    request = v1.GetCollectionRequest(collection_id=collection_id)
    return Call("GetCollection", request, lambda response: Collection.from_message(response.collection))


def list_collections(*, page_size: int = 0) -> Listing[Collection]:
    """Every collection by collection_id; `page_size` (0: 100) is how many one call fetches."""
    request = v1.ListCollectionsRequest(page_size=page_size)
    return Listing("ListCollections", request, "collections", Collection.from_message)


def update_collection(settings: CollectionSettings, *, collection_id: str = "") -> Call[Collection]:
    """Change the settings that are not None; every replica follows at its next call.

    Raises FacerecError: COLLECTION_NOT_FOUND, ID_INVALID, OPTION_INVALID and those of any call.
    """
    request = v1.UpdateCollectionRequest(collection_id=collection_id, settings=settings.to_message())
    return Call("UpdateCollection", request, lambda response: Collection.from_message(response.collection))


def delete_collection(collection_id: str) -> Call[CollectionErasure]:
    """Erase a collection and everybody in it; `default` is left, empty and as new."""
    request = v1.DeleteCollectionRequest(collection_id=collection_id)
    return Call("DeleteCollection", request, CollectionErasure.from_message)


def calibrate(
    *,
    target_far: float | None = None,
    target_false_hits: float | None = None,
    max_persons: int = 0,
    collection_id: str = "",
) -> Call[Calibration]:
    """Measure a collection's error rates on its own people; nothing is changed.

    Raises FacerecError: CALIBRATION_UNSUPPORTED, whose metadata tells the pairs it takes,
    COLLECTION_NOT_FOUND, OPTION_INVALID, OVERLOADED and those of any call.
    """
    request = v1.CalibrateRequest(
        collection_id=collection_id,
        target_far=target_far,
        target_false_hits=target_false_hits,
        max_persons=max_persons,
    )
    return Call("Calibrate", request, Calibration.from_message)


def apply_calibration(calibration_id: str, *, collection_id: str = "") -> Call[AppliedCalibration]:
    """Put a calibration's thresholds in force. Raises FacerecError CALIBRATION_NOT_FOUND and of any call."""
    request = v1.ApplyCalibrationRequest(collection_id=collection_id, calibration_id=calibration_id)
    return Call("ApplyCalibration", request, AppliedCalibration.from_message)


def measure_recall(*, samples: int = 0, collection_id: str = "") -> Call[Recall]:
    """Compare searches by a collection's index with exact ones; `samples` (0: 200) is 20 to 1000.

    Raises FacerecError: COLLECTION_NOT_FOUND, OPTION_INVALID, OVERLOADED and those of any call.
    """
    request = v1.MeasureRecallRequest(collection_id=collection_id, samples=samples)
    return Call("MeasureRecall", request, Recall.from_message)


def list_duplicates(
    *,
    max_distance: float | None = None,
    include_dismissed: bool = False,
    page_size: int = 0,
    collection_id: str = "",
) -> Listing[DuplicatePair]:
    """Every pair of persons with faces that near, for somebody to merge or to dismiss.

    `max_distance`, 0.6 at most, defaults to the collection's duplicate threshold; `page_size` (0: 100) is how
    many one call fetches. Raises FacerecError: COLLECTION_NOT_FOUND, OPTION_INVALID, OVERLOADED and those of
    any call.
    """
    request = v1.ListDuplicatesRequest(
        collection_id=collection_id,
        max_distance=max_distance,
        include_dismissed=include_dismissed,
        page_size=page_size,
    )
    return Listing("ListDuplicates", request, "pairs", DuplicatePair.from_message)


def dismiss_duplicate(
    person_id_a: str, person_id_b: str, *, restore: bool = False, collection_id: str = ""
) -> Call[bool]:
    """Note that two persons are two, or with `restore` take that back; says whether it changed anything.

    Raises FacerecError: PERSON_NOT_FOUND, COLLECTION_NOT_FOUND, ID_INVALID, OPTION_INVALID and those of any
    call.
    """
    request = v1.DismissDuplicateRequest(
        collection_id=collection_id, person_id_a=person_id_a, person_id_b=person_id_b, restore=restore
    )
    return Call("DismissDuplicate", request, lambda response: bool(response.changed))


def list_audit_events(
    *,
    person_id: str | None = None,
    kind: str = "",
    start_time: datetime.datetime | None = None,
    end_time: datetime.datetime | None = None,
    page_size: int = 0,
    collection_id: str = "",
) -> Listing[AuditEvent]:
    """What was done in a collection, newest first; `kind` is changes, decisions, or "" for both.

    From `start_time` until before `end_time`, which have a time zone. Raises FacerecError: PERSON_NOT_FOUND
    where the person is not there any more, ID_INVALID, OPTION_INVALID and those of any call.
    """
    request = v1.ListAuditEventsRequest(
        collection_id=collection_id,
        person_id=person_id,
        kind=audit_kind(kind),
        start_time=timestamp(start_time, "start_time"),
        end_time=timestamp(end_time, "end_time"),
        page_size=page_size,
    )
    return Listing("ListAuditEvents", request, "events", AuditEvent.from_message)


class CollectionClient(Client):
    """The matcher's collections, blocking."""

    service = COLLECTION_SERVICE
    stub: ClassVar[Any] = v1.CollectionServiceStub

    create_collection = ask(create_collection)
    get_collection = ask(get_collection)
    list_collections = each(list_collections)
    update_collection = ask(update_collection)
    delete_collection = ask(delete_collection)
    calibrate = ask(calibrate)
    apply_calibration = ask(apply_calibration)
    measure_recall = ask(measure_recall)
    list_duplicates = each(list_duplicates)
    dismiss_duplicate = ask(dismiss_duplicate)
    list_audit_events = each(list_audit_events)


class AsyncCollectionClient(AsyncClient):
    """The matcher's collections, on the running event loop."""

    service = COLLECTION_SERVICE
    stub: ClassVar[Any] = v1.CollectionServiceStub

    create_collection = ask_async(create_collection)
    get_collection = ask_async(get_collection)
    list_collections = each_async(list_collections)
    update_collection = ask_async(update_collection)
    delete_collection = ask_async(delete_collection)
    calibrate = ask_async(calibrate)
    apply_calibration = ask_async(apply_calibration)
    measure_recall = ask_async(measure_recall)
    list_duplicates = each_async(list_duplicates)
    dismiss_duplicate = ask_async(dismiss_duplicate)
    list_audit_events = each_async(list_audit_events)
