"""Users and faces without one, as people of a collection.

A user is a person. A face that belongs to no user is the only face of a person whose id begins with `~`, as
no user's does. That person's display_name is the face's ExternalImageId, so that searches answer it.
"""

import hashlib
import hmac
import uuid
from collections.abc import Sequence
from typing import Any, Final

import facerec.matcher.v1 as pb
from facerec.gateway.rekognition.calls import Json
from facerec.gateway.rekognition.errors import invalid
from facerec.gateway.rekognition.parameters import Parameters

_WITHOUT_USER: Final = "~"


def is_user(person_id: str) -> bool:
    """Whether a person is a user."""
    return not person_id.startswith(_WITHOUT_USER)


def user_id(parameters: Parameters) -> str:
    """The parameter UserId. Raises Refused."""
    found = parameters.text("UserId")
    if not is_user(found):
        raise invalid(f"UserId does not begin with {_WITHOUT_USER}")
    return found


def new_person() -> str:
    """The id of a person for a face without a user."""
    return f"{_WITHOUT_USER}{uuid.uuid4()}"


def indexed_person(secret: str, image: bytes, reference: str, vector: Sequence[float]) -> str:
    """The id of the person for a face of an image: the same for the same image, reference and vector.

    So an IndexFaces that is sent again adds no second face. `secret`, which keys the hash, keeps others from
    recognizing an image by the id.
    """
    digest = hmac.new(secret.encode(), reference.encode() + b"\0", "sha256")
    digest.update(hashlib.sha256(image).digest())
    digest.update(",".join(map(repr, vector)).encode())
    return f"{_WITHOUT_USER}{uuid.UUID(bytes=digest.digest()[:16], version=4)}"


def face_json(face: Any) -> Json:
    """A stored face, as Rekognition's Face: what is known of it."""
    found: Json = {"FaceId": face.face_id}
    if face.external_ref:
        found["ExternalImageId"] = face.external_ref
    if is_user(face.person_id):
        found["UserId"] = face.person_id
    return found


def naming(collection_id: str, person_id: str, reference: str) -> pb.UpdatePersonRequest:
    """The request that gives a person without user the reference of its face."""
    return pb.UpdatePersonRequest(collection_id=collection_id, person_id=person_id, display_name=reference)
