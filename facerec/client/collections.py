"""Clients of the matcher's collections."""

from typing import Any, ClassVar

from facerec.client.base import AsyncClient, Client
from facerec.client.calls import calibration, collections, reviews, status
from facerec.client.channel import COLLECTION_SERVICE
from facerec.client.methods import async_paged, async_unary, paged, unary
from facerec.matcher import v1


class CollectionClient(Client):
    """A blocking client of the matcher's collections. Threads may share it; make it after a fork.

    Use it in a `with`, or call `close`.

    Args:
        address: The matcher's `HOST:PORT`, or a gRPC target such as `unix:/run/facerec.sock`.
        timeout_seconds: The deadline of each call, in seconds above 0. Default: 30.
        security: A key and TLS, for locked services. Default: plain text, without a key.

    Raises:
        FacerecError: OPTION_INVALID (`field` names the argument), NOT_PERMITTED (a key in plain text to
            another machine).

    Example:
        >>> with CollectionClient("127.0.0.1:50052") as collections:
        ...     collection = collections.get_collection("default")
        >>> collection.estimated_faces
        2
    """

    service = COLLECTION_SERVICE
    stub: ClassVar[Any] = v1.CollectionServiceStub

    create_collection = unary(collections.create_collection)
    get_collection = unary(collections.get_collection)
    list_collections = paged(collections.list_collections)
    update_collection = unary(collections.update_collection)
    delete_collection = unary(collections.delete_collection)
    calibrate = unary(calibration.calibrate)
    apply_calibration = unary(calibration.apply_calibration)
    measure_recall = unary(reviews.measure_recall)
    list_duplicates = paged(reviews.list_duplicates)
    list_inconsistent_faces = paged(reviews.list_inconsistent_faces)
    dismiss_duplicate = unary(reviews.dismiss_duplicate)
    list_audit_events = paged(reviews.list_audit_events)
    get_caller = unary(status.get_caller)


class AsyncCollectionClient(AsyncClient):
    """An asyncio client of the matcher's collections. It belongs to the event loop of its first call.

    Use it in an `async with`, or await `close`. It has the methods of `CollectionClient`, to be awaited;
    those that list are asynchronous iterators.

    Args:
        address: The matcher's `HOST:PORT`, or a gRPC target such as `unix:/run/facerec.sock`.
        timeout_seconds: The deadline of each call, in seconds above 0. Default: 30.
        security: A key and TLS, for locked services. Default: plain text, without a key.

    Raises:
        FacerecError: OPTION_INVALID (`field` names the argument), NOT_PERMITTED (a key in plain text to
            another machine). A call on another event loop raises OPTION_INVALID.

    Example:
        >>> async def main():
        ...     async with AsyncCollectionClient("127.0.0.1:50052") as collections:
        ...         collection = await collections.get_collection()
        ...         events = [event async for event in collections.list_audit_events(kind="changes")]
        ...     return collection.collection_id, events[0].action
        >>> asyncio.run(main())
        ('default', 'ENROLL')
    """

    service = COLLECTION_SERVICE
    stub: ClassVar[Any] = v1.CollectionServiceStub

    create_collection = async_unary(collections.create_collection)
    get_collection = async_unary(collections.get_collection)
    list_collections = async_paged(collections.list_collections)
    update_collection = async_unary(collections.update_collection)
    delete_collection = async_unary(collections.delete_collection)
    calibrate = async_unary(calibration.calibrate)
    apply_calibration = async_unary(calibration.apply_calibration)
    measure_recall = async_unary(reviews.measure_recall)
    list_duplicates = async_paged(reviews.list_duplicates)
    list_inconsistent_faces = async_paged(reviews.list_inconsistent_faces)
    dismiss_duplicate = async_unary(reviews.dismiss_duplicate)
    list_audit_events = async_paged(reviews.list_audit_events)
    get_caller = async_unary(status.get_caller)
