"""Calls that read, change and erase stored faces."""

import datetime

from facerec.client.failures import option_invalid
from facerec.client.results.persons import Erasure, StoredFace
from facerec.client.rpc import Call, PagedCall
from facerec.client.times import timestamp
from facerec.matcher import v1


def list_faces(
    person_id: str = "", *, external_ref: str = "", page_size: int = 0, collection_id: str = ""
) -> PagedCall[StoredFace]:
    """Iterate over a person's faces, or those of everybody with one reference, oldest first, or over all.

    Pages are fetched while the loop runs; each is a call with a deadline of its own, and may raise.

    Args:
        person_id: The person, 1 to 128 characters; "" for everybody.
        external_ref: Only faces with this reference of yours; "" for all. All faces of everybody are ordered
            by their ids.
        page_size: How many faces one call fetches, 1 to 1000. 0 is 100.
        collection_id: The collection; "" is `default`.

    Returns:
        An iterator over stored faces, without their vectors; of the asyncio client an asynchronous one.

    Raises:
        FacerecError: PERSON_NOT_FOUND, ID_INVALID, OPTION_INVALID, COLLECTION_NOT_FOUND.

    Example:
        >>> [face.person_id for face in matcher.list_faces("ann")]
        ['ann']
    """
    request = v1.ListFacesRequest(
        collection_id=collection_id, person_id=person_id, page_size=page_size, external_ref=external_ref
    )
    return PagedCall("ListFaces", request, "faces", StoredFace.from_message)


def get_face(face_id: str, *, collection_id: str = "") -> Call[StoredFace]:
    """Read one face, without its vector.

    Args:
        face_id: The face's id, a UUID in its 36-character form.
        collection_id: The collection; "" is `default`.

    Returns:
        The stored face.

    Raises:
        FacerecError: STORED_FACE_NOT_FOUND, ID_INVALID, COLLECTION_NOT_FOUND.

    Example:
        >>> face = next(matcher.list_faces("ann"))
        >>> matcher.get_face(face.face_id) == face
        True
    """
    request = v1.GetFaceRequest(collection_id=collection_id, face_id=face_id)
    return Call("GetFace", request, lambda response: StoredFace.from_message(response.face))


def update_face(
    face_id: str,
    *,
    external_ref: str | None = None,
    expire_time: datetime.datetime | None = None,
    never_expires: bool = False,
    collection_id: str = "",
) -> Call[StoredFace]:
    """Change the caller's reference to a face, or when it expires. At least one of them is given.

    Args:
        face_id: The face's id, a UUID in its 36-character form.
        external_ref: The caller's own reference to the face, up to 256 characters. None leaves it as it is.
        expire_time: When the face expires, a future time with a time zone: from then on no call sees it. None
            leaves it as it is.
        never_expires: Whether an earlier `expire_time` is removed; not together with a new one. Default:
            False.
        collection_id: The collection; "" is `default`.

    Returns:
        The face after the change.

    Raises:
        FacerecError: STORED_FACE_NOT_FOUND, ID_INVALID, OPTION_INVALID (nothing to change, or a value out of
            range), COLLECTION_NOT_FOUND.

    Example:
        >>> face = next(matcher.list_faces("ann"))
        >>> in_a_year = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=365)
        >>> matcher.update_face(face.face_id, expire_time=in_a_year).expire_time == in_a_year
        True
        >>> matcher.update_face(face.face_id, never_expires=True).expire_time is None
        True
    """
    if external_ref is None and expire_time is None and not never_expires:
        raise option_invalid("", "nothing to change: give external_ref, expire_time or never_expires")
    if never_expires and expire_time is not None:
        raise option_invalid(
            "expire_time", "give expire_time or never_expires: each says when the face expires"
        )
    request = v1.UpdateFaceRequest(
        collection_id=collection_id,
        face_id=face_id,
        external_ref=external_ref,
        expire_time=timestamp(expire_time, "expire_time"),
    )
    if never_expires:
        request.update_mask.paths.extend(["expire_time", *(["external_ref"] * (external_ref is not None))])
    return Call("UpdateFace", request, lambda response: StoredFace.from_message(response.face))


def delete_face(face_id: str, *, collection_id: str = "") -> Call[Erasure]:
    """Erase one face. The person stays, even without faces.

    Args:
        face_id: The face's id, a UUID in its 36-character form.
        collection_id: The collection; "" is `default`.

    Returns:
        The receipt. Where there is no face of that id, its count is 0 and it has no id: that is not an error.

    Raises:
        FacerecError: ID_INVALID, COLLECTION_NOT_FOUND.

    Example:
        >>> face = next(matcher.list_faces("ann"))
        >>> matcher.delete_face(face.face_id).faces_deleted, matcher.get_person("ann").face_count
        (1, 0)
    """
    request = v1.DeleteFaceRequest(collection_id=collection_id, face_id=face_id)
    return Call("DeleteFace", request, Erasure.from_message)
