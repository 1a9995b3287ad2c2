"""Calls that decide who a face is."""

from collections.abc import Sequence

from facerec.client.attributes import LabelFilter, person_filter
from facerec.client.probes import Probe, StoredPerson, probe_message
from facerec.client.results.decisions import Comparison, Identification, Verification
from facerec.client.rpc import Call
from facerec.client.times import read_consistency
from facerec.matcher import v1


def verify(
    person_id: str,
    *probes: Probe,
    max_distance: float | None = None,
    use_largest_face: bool = False,
    include_attributes: bool = False,
    collection_id: str = "",
) -> Call[Verification]:
    """Decide whether a face is the given person's, by the collection's `score_rule`.

    Args:
        person_id: The person, 1 to 128 characters.
        *probes: The face, by 1 to 16 photos: the bytes of an image that shows one face, an `Encoding` (which
            needs a key with `encodings`), or the id of a stored face (a key with `scores`). Several are one
            claim with one decision: a face is as far from them as the root mean square of its distances from
            each. They count as so many probes and failed tries.
        max_distance: The largest Euclidean distance, inclusive, that is a match, 0 to 4; needs a key with
            `scores`. None is the collection's `verify_threshold`, which is 0.6 unless
            it was changed.
        use_largest_face: Whether the largest face of an image that shows several is taken, which is otherwise
            refused. Default: False.
        include_attributes: Whether a match is answered with the person's labels and metadata. Default: False.
        collection_id: The collection; "" is `default`.

    Returns:
        The decision, with the distance and the threshold. A face of somebody else is an answer, not an error.

    Raises:
        FacerecError: PERSON_NOT_FOUND (nobody of that id), PERSON_SUSPENDED (whatever the face is),
            IMAGE_INVALID, IMAGE_TOO_LARGE, IMAGE_UNSUPPORTED (of an image), ENCODING_INVALID (not 128 numbers
            from -1000 to 1000, or without a space), MODEL_MISMATCH (of another space than the collection's),
            FACE_NOT_FOUND (no face in the image, no stored face of that id, or none of the person),
            FACE_AMBIGUOUS (several faces in the image), ID_INVALID, OPTION_INVALID, COLLECTION_NOT_FOUND,
            ENCODER_UNAVAILABLE (images cannot be encoded now). RATE_LIMITED may also mean that no failed try
            is left against the person, and then for hours.

    Example:
        >>> answer = matcher.verify("ann", photo)
        >>> answer.match, answer.distance <= answer.threshold
        (True, True)
        >>> matcher.verify("bob", photo).match
        False
        >>> matcher.verify("ann", photo, Path("ann.jpg").read_bytes()).photos
        2
    """
    several = len(probes) > 1
    messages = [
        probe_message(probe, f"probes[{index}]" if several else "probe", use_largest_face=use_largest_face)
        for index, probe in enumerate(probes)
    ]
    request = v1.VerifyRequest(
        collection_id=collection_id,
        person_id=person_id,
        probe=None if several or not messages else messages[0],
        probes=messages if several else (),
        max_distance=max_distance,
        include_attributes=include_attributes,
    )
    return Call("Verify", request, Verification.from_message)


def identify(
    *probes: Probe | StoredPerson,
    all_faces: bool = False,
    max_candidates: int | None = None,
    max_distance: float | None = None,
    exact_only: bool = False,
    use_largest_face: bool = False,
    min_face_pixels: int = 0,
    labels: LabelFilter | None = None,
    person_ids: Sequence[str] = (),
    include_attributes: bool = False,
    max_staleness_seconds: float | None = None,
    same_person: bool = False,
    collection_id: str = "",
) -> Call[Identification]:
    """Find who faces belong to: the persons with a face within the threshold, nearest first.

    Args:
        *probes: 1 to 16 faces: the bytes of an image, an `Encoding` (which needs a key with `encodings` and
            `scores`), or the id of a stored face (a key with `scores`). A `StoredPerson` (a key with
            `scores`) asks who else is like that person: it is answered as one, by the nearest of their faces,
            and counts as many probes as they have faces.
        all_faces: Whether every face of an image is answered; otherwise an image shows one face. Not together
            with `use_largest_face`. Default: False.
        max_candidates: How many persons are answered for each face, 1 to 100. None is 5.
        max_distance: The largest Euclidean distance, inclusive, of a candidate, 0 to 4; needs a key with
            `scores`. None is the collection's `identify_threshold`, 0.5 from the start.
        exact_only: Whether an exact scan decides, even where an index could; False is as the collection's
            settings say. Default: False.
        use_largest_face: Whether the largest face of an image that shows several is taken, which is otherwise
            refused. Default: False.
        min_face_pixels: With `all_faces` the smallest shorter side of a face, in pixels of the upright image,
            0 to 65535; smaller values cost more. 0 finds faces larger than about a ninth of the longer side,
            and smaller ones where there are none.
        labels: Searches only among persons with these labels: for each key one value, or any of up to 16.
            None for everybody.
        person_ids: Searches only among these persons, up to 1000; ids of nobody are ignored. Empty for
            everybody.
        include_attributes: Whether candidates have their labels and metadata; `max_candidates` is then 10 at
            most. Default: False.
        max_staleness_seconds: How old what the call sees may be, more than 0 and at most what the matcher
            allows, 300 by default: it may miss changes acknowledged less than so many seconds before it
            began, and is answered also while the database's primary is lost. None: it misses nothing.
        same_person: Whether the probes are photos of one person, who gets one answer: a face is as far from
            them as the root mean square of its distances from each. Not together with `all_faces`. A key
            without `scores` may send several only with `person_ids` or `labels` of 10 people or fewer.
            Default: False.
        collection_id: The collection; "" is `default`.

    Returns:
        One answer per probe, with `all_faces` one per face, with `same_person` one for all. An answer without
        candidates means nobody; it is no error.

    Raises:
        FacerecError: IMAGE_INVALID, IMAGE_TOO_LARGE, IMAGE_UNSUPPORTED (of an image), ENCODING_INVALID (not
            128 numbers from -1000 to 1000, or without a space), MODEL_MISMATCH (of another space than the
            collection's), FACE_NOT_FOUND (no face in an image, no stored face of that id, or none of the
            person), FACE_AMBIGUOUS (several faces in an image), PERSON_NOT_FOUND (no such `StoredPerson`),
            ID_INVALID, OPTION_INVALID (also of a `StoredPerson` with more than 64 faces),
            COLLECTION_NOT_FOUND, ENCODER_UNAVAILABLE (images cannot be encoded now). `field` is the invalid
            probe, such as `probes[1].image`.
            RATE_LIMITED may also mean that no failed try is left against one of the persons, where a filter
            leaves ten or fewer, and then for hours.

    Example:
        >>> [face] = matcher.identify(photo).faces
        >>> [candidate.person_id for candidate in face.candidates]
        ['ann']
        >>> [face] = matcher.identify(photo, person_ids=["bob"]).faces
        >>> face.candidates
        ()
        >>> [ann] = matcher.identify(StoredPerson("ann")).faces
        >>> ann.matched_persons
        0
    """
    request = v1.IdentifyRequest(
        collection_id=collection_id,
        probes=[
            probe_message(probe, f"probes[{index}]", use_largest_face=use_largest_face)
            for index, probe in enumerate(probes)
        ],
        max_candidates=max_candidates,
        max_distance=max_distance,
        all_faces=all_faces,
        exact_only=exact_only,
        min_face_pixels=min_face_pixels,
        filter=person_filter(labels, person_ids),
        include_attributes=include_attributes,
        consistency=read_consistency(max_staleness_seconds),
        same_person=same_person,
    )
    return Call("Identify", request, Identification.from_message)


def compare(
    a: Probe | StoredPerson,
    b: Probe | StoredPerson,
    *,
    max_distance: float | None = None,
    use_largest_face: bool = False,
    collection_id: str = "",
) -> Call[Comparison]:
    """Measure the distance of two faces, or of the nearest two of persons' faces.

    Args:
        a: One face: the bytes of an image that shows one, an `Encoding` (which needs a key with `encodings`
            and `scores`), the id of a stored face (a key with `scores`), or a `StoredPerson` (a key with
            `scores`), of whom the face nearest to the other side counts.
        b: The other face, in any of these forms, of the same space.
        max_distance: The largest Euclidean distance, inclusive, that is a match, 0 to 4; needs a key with
            `scores`. None is the collection's `verify_threshold`.
        use_largest_face: Whether the largest face of an image that shows several is taken, which is otherwise
            refused. Default: False.
        collection_id: The collection whose stored faces and threshold are meant; "" is `default`.

    Returns:
        Whether they match, with the distance and the threshold.

    Raises:
        FacerecError: IMAGE_INVALID, IMAGE_TOO_LARGE, IMAGE_UNSUPPORTED (of an image), ENCODING_INVALID (not
            128 numbers from -1000 to 1000, or without a space), MODEL_MISMATCH (of another space than the
            collection's), FACE_NOT_FOUND (no face in an image, no stored face of that id, or none of the
            person), FACE_AMBIGUOUS (several faces in an image), PERSON_NOT_FOUND (no such `StoredPerson`),
            ID_INVALID, OPTION_INVALID (also of a `StoredPerson` with more than 64 faces),
            COLLECTION_NOT_FOUND, ENCODER_UNAVAILABLE (images cannot be encoded now). `field` is the invalid
            face, such as `probe_b.image`.

    Example:
        >>> matcher.compare(photo, Path("ann.jpg").read_bytes()).match
        True
    """
    request = v1.CompareRequest(
        collection_id=collection_id,
        probe_a=probe_message(a, "probe_a", use_largest_face=use_largest_face),
        probe_b=probe_message(b, "probe_b", use_largest_face=use_largest_face),
        max_distance=max_distance,
    )
    return Call("Compare", request, Comparison.from_message)
