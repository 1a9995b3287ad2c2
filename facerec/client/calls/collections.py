"""Calls that create, read, change and erase collections."""

from facerec.client.results.collection_settings import CollectionSettings
from facerec.client.results.collections import Collection, CollectionErasure
from facerec.client.rpc import Call, PagedCall
from facerec.matcher import v1


def create_collection(
    collection_id: str, settings: CollectionSettings | None = None, *, space: str = ""
) -> Call[Collection]:
    """Create an empty collection. It needs a key of the role `admin`.

    It is not retried: after a lost answer, COLLECTION_EXISTS means that the call was carried out.

    Args:
        collection_id: The new collection's id: 1 to 63 of a-z, 0-9, `_` and `-`, of which the first is a
            letter or a digit.
        settings: Its settings; None, for all or for one of them, is the default.
        space: The space of its encodings, which cannot be changed later, up to 128 characters. "" is
            `dlib-resnet-v1/small/150x0.25`.

    Returns:
        The new collection.

    Raises:
        FacerecError: COLLECTION_EXISTS, ID_INVALID, OPTION_INVALID (a setting out of range; `field` names
            it), ENCODING_INVALID (the space is too long).

    Example:
        >>> created = collections.create_collection("staff", CollectionSettings(duplicate_policy="refuse"))
        >>> created.settings.duplicate_policy
        'refuse'
    """
    request = v1.CreateCollectionRequest(
        collection_id=collection_id, space=space, settings=(settings or CollectionSettings()).to_message()
    )
    return Call("CreateCollection", request, lambda response: Collection.from_message(response.collection))


def get_collection(collection_id: str = "") -> Call[Collection]:
    """Read one collection: its settings, its size, the state of its search index.

    Args:
        collection_id: The collection; "" is `default`.

    Returns:
        The collection.

    Raises:
        FacerecError: COLLECTION_NOT_FOUND, ID_INVALID.

    Example:
        >>> collections.get_collection().settings.duplicate_policy
        'flag'
    """
    request = v1.GetCollectionRequest(collection_id=collection_id)
    return Call("GetCollection", request, lambda response: Collection.from_message(response.collection))


def list_collections(*, page_size: int = 0) -> PagedCall[Collection]:
    """Iterate over all collections, ordered by `collection_id`.

    Pages are fetched while the loop runs; each is a call with a deadline of its own, and may raise.

    Args:
        page_size: How many collections one call fetches, 1 to 1000. 0 is 100.

    Returns:
        An iterator over collections; of the asyncio client an asynchronous one.

    Raises:
        FacerecError: OPTION_INVALID.

    Example:
        >>> "default" in [collection.collection_id for collection in collections.list_collections()]
        True
    """
    request = v1.ListCollectionsRequest(page_size=page_size)
    return PagedCall("ListCollections", request, "collections", Collection.from_message)


def update_collection(settings: CollectionSettings, *, collection_id: str = "") -> Call[Collection]:
    """Change a collection's settings. Every replica applies them from its next call on.

    Args:
        settings: The settings to change; those that are None stay as they are. At least one is not None.
        collection_id: The collection; "" is `default`.

    Returns:
        The collection after the change.

    Raises:
        FacerecError: COLLECTION_NOT_FOUND, ID_INVALID, OPTION_INVALID (nothing to change, or out of range;
            `field` names the setting), NOT_PERMITTED (also a key without `scores` that changes a threshold).

    Example:
        >>> changed = collections.update_collection(CollectionSettings(verify_threshold=0.55))
        >>> changed.settings.verify_threshold, changed.settings.identify_threshold
        (0.55, 0.5)
    """
    request = v1.UpdateCollectionRequest(collection_id=collection_id, settings=settings.to_message())
    return Call("UpdateCollection", request, lambda response: Collection.from_message(response.collection))


def delete_collection(
    collection_id: str, *, force: bool = False, request_id: str = ""
) -> Call[CollectionErasure]:
    """Erase a collection, with `force` and everybody in it. It needs a key of the role `admin`.

    The collection `default` remains, empty and with the default settings.

    Args:
        collection_id: The collection; "" is refused, so that nothing is erased by default.
        force: Erase the people in it too. False refuses a collection that has any.
        request_id: Lets the deletion go on at the matcher if this call ends early, and its receipt be asked
            for again: the same call with the same id, up to 128 characters, best random (`uuid.uuid4()`),
            gets the receipt of the first, also where a collection of that id was created since. "" is none:
            the deletion is cancelled with the call.

    Returns:
        The receipt. Where there is no collection of that id, its counts are 0: that is no error.

    Raises:
        FacerecError: ID_INVALID, COLLECTION_NOT_EMPTY (without `force`), OVERLOADED (also while an export
            reads the collection), REQUEST_ID_REUSED (for another request).

    Example:
        >>> collections.delete_collection("visitors", force=True).collections_deleted
        0
    """
    request = v1.DeleteCollectionRequest(collection_id=collection_id, force=force, request_id=request_id)
    return Call("DeleteCollection", request, CollectionErasure.from_message)
