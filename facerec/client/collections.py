"""Clients of the matcher's collections."""

from typing import Any, ClassVar

from facerec.client.calibrations import AppliedCalibration, Calibration
from facerec.client.calls import AsyncClient, Call, Client, Listing, ask, ask_async, each, each_async
from facerec.client.channel import COLLECTION_SERVICE
from facerec.client.galleries import Collection, CollectionErasure, CollectionSettings
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
