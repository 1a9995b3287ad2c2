"""Imports and exports of faces in bulk."""

from facerec.client.results.transfer import FaceBatch, ImportReport
from facerec.client.rpc import Call
from facerec.client.times import read_consistency
from facerec.matcher import v1


def get_import(import_id: str, *, collection_id: str = "") -> Call[ImportReport]:
    """Read the progress of an import.

    Args:
        import_id: The name that `import_faces` was given, 1 to 128 characters.
        collection_id: The collection; "" is `default`.

    Returns:
        What the import did so far; it continues at `next_row`, which is 0 for one that was never begun.

    Raises:
        FacerecError: ID_INVALID, COLLECTION_NOT_FOUND.

    Example:
        >>> matcher.get_import("people-2026").next_row
        0
    """
    request = v1.GetImportRequest(collection_id=collection_id, import_id=import_id)
    return Call("GetImport", request, ImportReport.from_message)


def export_faces(*, max_staleness_seconds: float | None = None, collection_id: str = "") -> Call[FaceBatch]:
    """Iterate over all faces of a collection with their vectors, ordered by person.

    They are read from one snapshot, over one call without a deadline, which needs a key of the role `admin`.
    The call ends when the generator is exhausted or closed; `contextlib.closing`, or `contextlib.aclosing`
    for asyncio, closes it where a loop is left early. The server ends an export that is read too slowly.

    Args:
        max_staleness_seconds: How old what the call sees may be, more than 0 and at most what the matcher
            allows, 300 by default: it may miss changes acknowledged less than so many seconds before it
            began. It needs the database's primary all the same. None: it misses nothing.
        collection_id: The collection; "" is `default`.

    Returns:
        A generator of batches, each of 2,000 faces at most; of the asyncio client an asynchronous one.

    Raises:
        FacerecError: COLLECTION_NOT_FOUND, ID_INVALID, OVERLOADED (also where it is read too slowly).

    Example:
        >>> with contextlib.closing(matcher.export_faces()) as exported:
        ...     for batch in exported:
        ...         print(batch.encodings.shape, batch.person_ids, batch.space)
        (2, 128) ('ann', 'bob') dlib-resnet-v1/small/150x0.25
    """
    request = v1.ExportFacesRequest(
        collection_id=collection_id, consistency=read_consistency(max_staleness_seconds)
    )
    return Call("ExportFaces", request, FaceBatch.from_message)


def import_header(
    *,
    space: str,
    import_id: str,
    first_row: int,
    dry_run: bool,
    ignore_duplicate_policy: bool,
    collection_id: str,
) -> v1.ImportFacesRequest:
    """The first message of an import; batches follow."""
    header = v1.ImportHeader(
        collection_id=collection_id,
        space=space,
        import_id=import_id,
        first_row=first_row,
        dry_run=dry_run,
        ignore_duplicate_policy=ignore_duplicate_policy,
    )
    return v1.ImportFacesRequest(header=header)
