"""The calls about faces: DetectFaces, IndexFaces, ListFaces, DeleteFaces."""

import dataclasses
from typing import Any, Final

import facerec.encoder.v1 as encoder_pb
import facerec.matcher.v1 as pb
from facerec.errors import Reason
from facerec.gateway import exchange
from facerec.gateway.rekognition.calls import Calls, Json
from facerec.gateway.rekognition.collections import page_size, with_token
from facerec.gateway.rekognition.details import QUALITY_FILTERS, detail_json, poor
from facerec.gateway.rekognition.parameters import Parameters
from facerec.gateway.rekognition.people import face_json, indexed_person, is_user

MAX_FACES: Final = 100  # of one image, as Rekognition has it
MAX_FACE_IDS: Final = 1000
ATTRIBUTES: Final = (
    *("DEFAULT", "ALL", "AGE_RANGE", "BEARD", "EMOTIONS", "EYE_DIRECTION", "EYEGLASSES", "EYES_OPEN"),
    *("GENDER", "MOUTH_OPEN", "MUSTACHE", "FACE_OCCLUDED", "SMILE", "SUNGLASSES"),
)


async def detect_faces(parameters: Parameters, calls: Calls) -> Json:
    """DetectFaces."""
    request = encoder_pb.DetectFacesRequest(image=parameters.image("Image"))
    parameters.choices("Attributes", ATTRIBUTES)  # what is not known of a face is left out
    parameters.end()
    answer = await calls.call(request)
    return {
        "FaceDetails": [detail_json(face, answer.image_width, answer.image_height) for face in answer.faces]
    }


async def encode(calls: Calls, image: bytes) -> Any:
    """The faces of an image, at most MAX_FACES, the largest first, with vectors and landmarks."""
    options = encoder_pb.EncodeOptions(max_faces=MAX_FACES, return_landmarks=True)
    return await calls.call(encoder_pb.EncodeRequest(image=image, options=options))


@dataclasses.dataclass(frozen=True)
class _Indexing:
    """An IndexFaces: the image, and what is stored with each face."""

    collection_id: str
    image: bytes
    reference: str

    def request(self, face: Any) -> pb.EnrollRequest:
        """The request that stores a face as a person of its own."""
        secret = exchange.current().headers["authorization"]
        return pb.EnrollRequest(
            collection_id=self.collection_id,
            person_id=indexed_person(secret, self.image, self.reference, face.encoding.values),
            display_name=self.reference,
            items=[pb.EnrollItem(probe=pb.Probe(encoding=face.encoding), external_ref=self.reference)],
        )


async def index_faces(parameters: Parameters, calls: Calls) -> Json:
    """IndexFaces: each face is a transaction of its own, and the same image again adds none."""
    image = parameters.image("Image")
    indexing = _Indexing(parameters.text("CollectionId"), image, parameters.optional_text("ExternalImageId"))
    max_faces = parameters.whole("MaxFaces", default=MAX_FACES, least=1, most=2**31 - 1)
    quality_filter = parameters.choice("QualityFilter", QUALITY_FILTERS, "AUTO")
    parameters.choices("DetectionAttributes", ATTRIBUTES)  # what is not known of a face is left out
    parameters.end()
    answer = await encode(calls, image)
    records: list[Json] = []
    unindexed: list[Json] = []
    for face in answer.faces:
        detail = detail_json(face, answer.image_width, answer.image_height)
        reasons = poor(face.quality, quality_filter)
        if not reasons and len(records) >= max_faces:
            reasons = ["EXCEEDS_MAX_FACES"]
        if reasons:
            unindexed.append({"Reasons": reasons, "FaceDetail": detail})
            continue
        enrolled = await calls.call(indexing.request(face))
        stored = face_json(enrolled.faces[0].face) | {"BoundingBox": detail["BoundingBox"]}
        records.append({"Face": stored, "FaceDetail": detail})
    found: Json = {"FaceRecords": records, "UnindexedFaces": unindexed}
    if answer.faces:
        found["FaceModelVersion"] = answer.faces[0].encoding.space
    return found


async def list_faces(parameters: Parameters, calls: Calls) -> Json:
    """ListFaces: all of a collection, a user's, or some by their ids."""
    collection_id = parameters.text("CollectionId")
    person_id, face_ids = parameters.optional_text("UserId"), parameters.face_ids(most=MAX_FACE_IDS)
    request = pb.ListFacesRequest(
        collection_id=collection_id,
        person_id=person_id,
        page_size=page_size(parameters),
        page_token=parameters.optional_text("NextToken"),
    )
    parameters.end()
    collection = (await calls.call(pb.GetCollectionRequest(collection_id=collection_id))).collection
    found: Json = {"FaceModelVersion": collection.space}
    if not face_ids:
        answer = await calls.call(request)
        found["Faces"] = [face_json(face) for face in answer.faces]
        return with_token(found, answer)
    faces = [await get_face(calls, collection_id, face_id) for face_id in face_ids]
    found["Faces"] = [face_json(face) for face in faces if face and person_id in ("", face.person_id)]
    return found


async def get_face(calls: Calls, collection_id: str, face_id: str) -> Any | None:
    """A stored face; None if there is none of this id. Raises Failed."""
    request = pb.GetFaceRequest(collection_id=collection_id, face_id=face_id)
    answer = await calls.call_unless(request, Reason.STORED_FACE_NOT_FOUND)
    return answer.face if answer else None


async def is_alone(calls: Calls, collection_id: str, person_id: str) -> bool:
    """Whether a face without a user is the only one of its person. Others may have merged such people."""
    request = pb.GetPersonRequest(collection_id=collection_id, person_id=person_id)
    answer = await calls.call_unless(request, Reason.PERSON_NOT_FOUND)
    return answer is None or answer.person.face_count <= 1


async def delete_faces(parameters: Parameters, calls: Calls) -> Json:
    """DeleteFaces: erases faces without a user; a user's stay, as Rekognition has it."""
    collection_id, face_ids = parameters.text("CollectionId"), parameters.face_ids(most=MAX_FACE_IDS)
    parameters.end()
    deleted: list[str] = []
    failed: list[Json] = []
    for face_id in face_ids:
        why = await _delete_face(calls, collection_id, face_id)
        if why:
            failed.append({"FaceId": face_id} | why)
        else:
            deleted.append(face_id)
    return {"DeletedFaces": deleted, "UnsuccessfulFaceDeletions": failed}


async def _delete_face(calls: Calls, collection_id: str, face_id: str) -> Json:
    """Erase a face without a user; why not, or nothing."""
    for _ in range(2):  # again if a user got the face meanwhile
        face = await get_face(calls, collection_id, face_id)
        if face is None:
            break
        if is_user(face.person_id):
            return {"UserId": face.person_id, "Reasons": ["ASSOCIATED_TO_AN_EXISTING_USER"]}
        if await is_alone(calls, collection_id, face.person_id):
            request = pb.DeletePersonRequest(collection_id=collection_id, person_id=face.person_id)
            if (await calls.call(request)).persons_deleted:
                return {}
        else:
            erasing = pb.DeleteFaceRequest(collection_id=collection_id, face_id=face_id)
            if (await calls.call(erasing)).faces_deleted:
                return {}
    return {"Reasons": ["FACE_NOT_FOUND"]}
