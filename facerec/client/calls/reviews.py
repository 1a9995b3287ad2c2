"""Calls that review a collection: the recall of its index, likely duplicates, and the audit log."""

import datetime

from facerec.client.failures import option_invalid
from facerec.client.results.audit import AuditEvent
from facerec.client.results.reviews import DuplicatePair, InconsistentFace, Recall
from facerec.client.rpc import Call, PagedCall
from facerec.client.times import read_consistency, timestamp
from facerec.matcher import v1

_AUDIT_KINDS = {
    "": v1.AUDIT_KIND_UNSPECIFIED,
    "changes": v1.AUDIT_KIND_CHANGES,
    "decisions": v1.AUDIT_KIND_DECISIONS,
}


def measure_recall(
    *,
    samples: int = 0,
    max_staleness_seconds: float | None = None,
    request_id: str = "",
    collection_id: str = "",
) -> Call[Recall]:
    """Measure the recall of a collection's index: search for its own persons by the index and exactly.

    It needs a key with `scores`. Fewer searches are compared where the call's deadline is near.

    Args:
        samples: How many searches at most are compared, 20 to 1,000. 0 is 200.
        max_staleness_seconds: How old what the call sees may be, more than 0 and at most what the matcher
            allows, 300 by default: it may miss changes acknowledged less than so many seconds before it
            began, and is answered also while the database's primary is lost. None: it misses nothing.
        request_id: Lets the work go on at the matcher if this call ends early, and its answer be asked for
            again: the same call with the same id, up to 128 characters, best random (`uuid.uuid4()`), waits
            for it or gets the answer of the first. "" is none: the work ends with the call.
        collection_id: The collection; "" is `default`.

    Returns:
        The recall of the index, and how far `identify` agrees with an exact scan.

    Raises:
        FacerecError: COLLECTION_NOT_FOUND, ID_INVALID, OPTION_INVALID, REQUEST_ID_REUSED (for another
            request).

    Example:
        >>> collections.measure_recall(samples=20).indexed
        False
    """
    request = v1.MeasureRecallRequest(
        collection_id=collection_id,
        samples=samples,
        consistency=read_consistency(max_staleness_seconds),
        request_id=request_id,
    )
    return Call("MeasureRecall", request, Recall.from_message)


def list_duplicates(
    *,
    max_distance: float | None = None,
    include_dismissed: bool = False,
    page_size: int = 0,
    max_staleness_seconds: float | None = None,
    collection_id: str = "",
) -> PagedCall[DuplicatePair]:
    """Iterate over pairs of persons whose faces are near enough to be one person's.

    It needs a key with `scores`. A human reviews each pair, and merges the two (`merge_persons`) or dismisses
    the pair (`dismiss_duplicate`). Pages are fetched while the loop runs; each is a call with a deadline of
    its own, and may raise.

    Args:
        max_distance: The largest Euclidean distance, inclusive, between a face of each, 0 to 0.6. None is the
            collection's `duplicate_threshold`.
        include_dismissed: Whether pairs that were dismissed are listed, too. Default: False.
        page_size: How many pairs one call fetches at most, 1 to 1000. 0 is 100.
        max_staleness_seconds: How old what the call sees may be, more than 0 and at most what the matcher
            allows, 300 by default: it may miss changes acknowledged less than so many seconds before it
            began, and is answered also while the database's primary is lost. None: it misses nothing.
        collection_id: The collection; "" is `default`.

    Returns:
        An iterator over pairs, by the time at which their first and then their second person was enrolled,
        within a page nearest first; of the asyncio client an asynchronous one.

    Raises:
        FacerecError: COLLECTION_NOT_FOUND, ID_INVALID, OPTION_INVALID.

    Example:
        >>> enrollment = matcher.enroll("anne", Path("ann2.jpg").read_bytes())
        >>> [(pair.person_id_a, pair.person_id_b) for pair in collections.list_duplicates()]
        [('ann', 'anne')]
        >>> collections.dismiss_duplicate("ann", "anne")
        True
    """
    request = v1.ListDuplicatesRequest(
        collection_id=collection_id,
        max_distance=max_distance,
        include_dismissed=include_dismissed,
        page_size=page_size,
        consistency=read_consistency(max_staleness_seconds),
    )
    return PagedCall("ListDuplicates", request, "pairs", DuplicatePair.from_message)


def list_inconsistent_faces(
    *,
    person_id: str = "",
    max_distance: float | None = None,
    page_size: int = 0,
    max_staleness_seconds: float | None = None,
    collection_id: str = "",
) -> PagedCall[InconsistentFace]:
    """Iterate over faces that are nearer to somebody else's than to any other of their own person's.

    It needs a key with `scores`. A human looks at each, and moves the face (`move_faces`), merges the two
    persons (`merge_persons`), deletes a poor photo, or dismisses the two as different persons
    (`dismiss_duplicate`), which leaves their faces out. Pages are fetched while the loop runs; each is a call
    with a deadline of its own, and may raise.

    Args:
        person_id: Only the faces of this person. "" for everybody's.
        max_distance: The largest Euclidean distance, inclusive, to the other person's face, 0 to 0.6. None is
            the collection's `duplicate_threshold`.
        page_size: How many faces one call fetches at most, 1 to 1000. 0 is 100.
        max_staleness_seconds: How old what the call sees may be, more than 0 and at most what the matcher
            allows, 300 by default: it may miss changes acknowledged less than so many seconds before it
            began, and is answered also while the database's primary is lost. None: it misses nothing.
        collection_id: The collection; "" is `default`.

    Returns:
        An iterator over faces, by the time at which their persons were enrolled; of the asyncio client an
        asynchronous one.

    Raises:
        FacerecError: PERSON_NOT_FOUND, COLLECTION_NOT_FOUND, ID_INVALID, OPTION_INVALID.

    Example:
        >>> wrong = matcher.enroll("bob", Path("ann2.jpg").read_bytes()).faces[0]
        >>> wrong.inconsistency.person_id
        'ann'
        >>> [(each.person_id, each.other_person_id) for each in collections.list_inconsistent_faces()]
        [('bob', 'ann')]
        >>> matcher.move_faces([wrong.face.face_id], "ann").faces_moved
        1
    """
    request = v1.ListInconsistentFacesRequest(
        collection_id=collection_id,
        person_id=person_id,
        max_distance=max_distance,
        page_size=page_size,
        consistency=read_consistency(max_staleness_seconds),
    )
    return PagedCall("ListInconsistentFaces", request, "faces", InconsistentFace.from_message)


def dismiss_duplicate(
    person_id_a: str, person_id_b: str, *, restore: bool = False, collection_id: str = ""
) -> Call[bool]:
    """Record that a pair is two different persons, so that lists leave it out.

    `list_duplicates` leaves out the pair, and `list_inconsistent_faces` the faces of each that are near the
    other's.

    Args:
        person_id_a: One of them.
        person_id_b: The other, in either order.
        restore: Whether to undo an earlier dismissal instead. Default: False.
        collection_id: The collection; "" is `default`.

    Returns:
        Whether this changed anything.

    Raises:
        FacerecError: PERSON_NOT_FOUND (`field` names which of them), COLLECTION_NOT_FOUND, ID_INVALID,
            OPTION_INVALID (both are one person).

    Example:
        >>> collections.dismiss_duplicate("ann", "bob"), collections.dismiss_duplicate("bob", "ann")
        (True, False)
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
) -> PagedCall[AuditEvent]:
    """Iterate over a collection's audit log, newest first. It needs a key of the role `admin`.

    Pages are fetched while the loop runs; each is a call with a deadline of its own, and may raise.

    Args:
        person_id: Only events about this person, who must be enrolled. None for all persons.
        kind: `changes` for changes of the collection, and for exports of it or of a person; `decisions` for
            verifications, identifications and comparisons. "" for both.
        start_time: Only events from this time on, with a time zone. None is the beginning.
        end_time: Only events before this time, with a time zone. None is now.
        page_size: How many events one call fetches, 1 to 1000. 0 is 100.
        collection_id: The collection, which may have been erased; "" is `default`.

    Returns:
        An iterator over events; of the asyncio client an asynchronous one.

    Raises:
        FacerecError: PERSON_NOT_FOUND (no person of that id is enrolled), ID_INVALID, OPTION_INVALID.

    Example:
        >>> [event.action for event in collections.list_audit_events(kind="changes", person_id="ann")]
        ['ENROLL']
    """
    if kind not in _AUDIT_KINDS:
        raise option_invalid("kind", "kind must be changes or decisions")
    request = v1.ListAuditEventsRequest(
        collection_id=collection_id,
        person_id=person_id,
        kind=_AUDIT_KINDS[kind],
        start_time=timestamp(start_time, "start_time"),
        end_time=timestamp(end_time, "end_time"),
        page_size=page_size,
    )
    return PagedCall("ListAuditEvents", request, "events", AuditEvent.from_message)
