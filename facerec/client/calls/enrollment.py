"""The call that enrolls faces."""

import datetime

from facerec.client.attributes import Labels, Metadata, metadata_struct
from facerec.client.probes import NewFace, Probe, probe_message
from facerec.client.results.enrollments import Enrollment
from facerec.client.rpc import Call
from facerec.client.times import timestamp
from facerec.matcher import v1


def enroll(
    person_id: str,
    *faces: Probe | NewFace,
    display_name: str | None = None,
    request_id: str = "",
    expire_time: datetime.datetime | None = None,
    labels: Labels | None = None,
    metadata: Metadata | None = None,
    use_largest_face: bool = False,
    collection_id: str = "",
) -> Call[Enrollment]:
    """Add faces to a person, all of them or none. The person is created if there is none of that id.

    The same photo or encoding is stored once for a person, so the call may be repeated; with a `request_id`
    the second call is also answered as the first was.

    Args:
        person_id: The caller's id of the person, 1 to 128 characters, stored in Unicode Normalization Form C
            (NFC), without control characters and without a space at either end.
        *faces: 1 to 64 faces: the bytes of an image that shows one, an `Encoding` (which needs a key with
            `encodings`), or the id of a stored face (a key with `scores`); in a `NewFace` with the caller's
            own reference.
        display_name: A display text, up to 256 characters, that replaces the person's. None leaves it.
        request_id: Makes the call repeatable: up to 128 characters, best random (`uuid.uuid4()`), remembered
            for 30 days. "" for none.
        expire_time: When these faces expire, a future time with a time zone: from then on no call sees them,
            and maintenance erases them. None for never.
        labels: Labels to set on the person, who keeps those of other keys: at most 32, with keys of 1 to 63
            of a-z, 0-9, "_", "." and "-", and values of up to 128 characters. None for none.
        metadata: Data of your own that replaces the person's, up to 4096 bytes as JSON; {} removes it. None
            leaves it.
        use_largest_face: Whether the largest face of an image that shows several is taken, which is otherwise
            refused. Default: False.
        collection_id: The collection; "" is `default`.

    Returns:
        The person, and the outcome of each face, in their order.

    Raises:
        FacerecError: IMAGE_INVALID, IMAGE_TOO_LARGE, IMAGE_UNSUPPORTED (of an image), ENCODING_INVALID (not
            128 numbers from -1000 to 1000, or without a space), MODEL_MISMATCH (of another space than the
            collection's), FACE_NOT_FOUND (no face in an image, or no stored face of that id), FACE_AMBIGUOUS
            (several faces in an image), FACE_QUALITY (a face too poor by the collection's settings),
            FACE_DUPLICATE (a face of another person, whom `metadata["person_id"]` names, where the collection
            refuses those), FACE_INCONSISTENT (a face that is nearer to that of another person, whom
            `metadata["person_id"]` names, than to its own person's, where the collection refuses those),
            PERSON_FULL (more faces than a person may have), REQUEST_ID_REUSED (for other
            content), PERSON_NOT_FOUND (the person of that `request_id` was erased or merged since),
            ID_INVALID, OPTION_INVALID, COLLECTION_NOT_FOUND, ENCODER_UNAVAILABLE (images cannot be encoded
            now). `field` is the invalid face, such as `items[1].probe.image`.

    Example:
        >>> enrollment = matcher.enroll("eve", photo, display_name="Eve")
        >>> enrollment.person_created, enrollment.faces[0].already_enrolled
        (True, False)
        >>> matcher.enroll("eve", NewFace(photo, external_ref="badge-4711")).faces[0].already_enrolled
        True
        >>> matcher.enroll("eve", photo, labels={"site": "berlin"}).person.labels
        {'site': 'berlin'}
    """
    items = [
        v1.EnrollItem(
            probe=probe_message(face.probe, f"items[{index}].probe", use_largest_face=use_largest_face),
            external_ref=face.external_ref,
        )
        for index, face in enumerate(face if isinstance(face, NewFace) else NewFace(face) for face in faces)
    ]
    request = v1.EnrollRequest(
        collection_id=collection_id,
        person_id=person_id,
        display_name=display_name,
        items=items,
        request_id=request_id,
        expire_time=timestamp(expire_time, "expire_time"),
        labels=labels,
        metadata=metadata_struct(metadata),
    )
    return Call("Enroll", request, Enrollment.from_message)
