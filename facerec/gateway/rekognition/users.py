"""The calls about users: people whose ids do not begin with `~`."""

from typing import Any, Final

import facerec.matcher.v1 as pb
from facerec.errors import Reason
from facerec.gateway.rekognition.calls import Calls, Json
from facerec.gateway.rekognition.collections import page_size
from facerec.gateway.rekognition.errors import Refused, denied
from facerec.gateway.rekognition.faces import get_face, is_alone
from facerec.gateway.rekognition.parameters import Parameters
from facerec.gateway.rekognition.people import is_user, naming, new_person, user_id
from facerec.gateway.rekognition.scores import percent_of

MAX_ASSOCIATED: Final = 100  # faces of one call
MAX_PAGES: Final = 10  # pages read for one of ListUsers
_REPEAT_ID: Final = "ClientRequestToken"


async def create_user(parameters: Parameters, calls: Calls) -> Json:
    """CreateUser: a person without faces."""
    collection_id, person_id = parameters.text("CollectionId"), user_id(parameters)
    parameters.unused(_REPEAT_ID)
    parameters.end()
    request = pb.UpdatePersonRequest(collection_id=collection_id, person_id=person_id, allow_missing=True)
    if not (await calls.call(request)).person_created:
        raise Refused("ConflictException", "the collection has a user with this UserId", Reason.PERSON_EXISTS)
    return {}


async def delete_user(parameters: Parameters, calls: Calls) -> Json:
    """DeleteUser: the faces stay, without a user.

    Before the person is erased, it gets another id, so that no face is given to it at the same time.
    """
    collection_id, person_id = parameters.text("CollectionId"), user_id(parameters)
    parameters.unused(_REPEAT_ID)
    parameters.end()
    await _separate_all(calls, collection_id, person_id)
    left = new_person()
    await calls.call(
        pb.RenamePersonRequest(collection_id=collection_id, person_id=person_id, new_person_id=left)
    )
    await _separate_all(calls, collection_id, left)
    await calls.call(pb.DeletePersonRequest(collection_id=collection_id, person_id=left))
    return {}


async def _separate_all(calls: Calls, collection_id: str, person_id: str) -> None:
    request = pb.ListFacesRequest(collection_id=collection_id, person_id=person_id, page_size=1000)
    while faces := (await calls.call(request)).faces:
        for face in faces:
            await _separate(calls, collection_id, face)


async def _separate(calls: Calls, collection_id: str, face: Any) -> None:
    """Give a face a person of its own."""
    person_id = new_person()
    await calls.call(
        pb.MoveFacesRequest(collection_id=collection_id, face_ids=[face.face_id], target_person_id=person_id)
    )
    if face.external_ref:
        await calls.call(naming(collection_id, person_id, face.external_ref))


async def list_users(parameters: Parameters, calls: Calls) -> Json:
    """ListUsers. Faces without a user are people too; a page that has nobody else is empty."""
    request = pb.ListPersonsRequest(
        collection_id=parameters.text("CollectionId"),
        page_size=page_size(parameters, most=500),
        page_token=parameters.optional_text("NextToken"),
    )
    parameters.end()
    users: list[Json] = []
    for _ in range(MAX_PAGES):
        answer = await calls.call(request)
        users = [
            {"UserId": each.person_id, "UserStatus": _status(each)}
            for each in answer.persons
            if is_user(each.person_id)
        ]
        request.page_token = answer.next_page_token
        if users or not answer.next_page_token:
            break
    found: Json = {"Users": users}
    if request.page_token:
        found["NextToken"] = request.page_token
    return found


def _status(person: Any) -> str:
    return "ACTIVE" if person.face_count else "CREATED"


async def associate_faces(parameters: Parameters, calls: Calls) -> Json:
    """AssociateFaces: merges the people of faces without a user into the user, each in a transaction.

    Of a person with more faces, as others may have made of several, only the face itself is moved.
    """
    collection_id, person_id = parameters.text("CollectionId"), user_id(parameters)
    face_ids = parameters.face_ids(most=MAX_ASSOCIATED)
    percent = parameters.percent("UserMatchThreshold", 75)
    parameters.unused(_REPEAT_ID)
    parameters.end()
    person = await _get_person(calls, collection_id, person_id)
    refused: list[Json] = []
    sources: dict[str, str] = {}
    for face_id in face_ids:
        face = await get_face(calls, collection_id, face_id)
        if face is not None and face.person_id == person_id:
            continue
        why = _owner_refusal(face)
        if not why and person.face_count and percent > 0:
            why = await _score_refusal(calls, collection_id, person_id, face_id, percent)
        if why:
            refused.append({"FaceId": face_id} | why)
        else:
            assert face is not None
            sources[face_id] = face.person_id
    associated = []
    for face_id, source in sources.items():
        if await _give(calls, collection_id, face_id, source, person_id):
            associated.append({"FaceId": face_id})
        else:
            refused.append({"FaceId": face_id, "Reasons": ["FACE_NOT_FOUND"]})
    return {
        "AssociatedFaces": associated,
        "UnsuccessfulFaceAssociations": refused,
        "UserStatus": "ACTIVE" if associated else _status(person),
    }


async def _give(calls: Calls, collection_id: str, face_id: str, source: str, person_id: str) -> bool:
    """Give a user a face of the person `source`, who is erased with the last one; whether the user got it."""
    if not await is_alone(calls, collection_id, source):
        moving = pb.MoveFacesRequest(
            collection_id=collection_id, face_ids=[face_id], target_person_id=person_id
        )
        moved = await calls.call_unless(moving, Reason.STORED_FACE_NOT_FOUND)
        return moved is not None and moved.faces_moved == 1
    request = pb.MergePersonsRequest(
        collection_id=collection_id, source_person_id=source, target_person_id=person_id
    )
    merged = await calls.call_unless(request, Reason.PERSON_NOT_FOUND)
    return merged is not None and face_id in merged.moved_face_ids


async def _get_person(calls: Calls, collection_id: str, person_id: str) -> Any:
    request = pb.GetPersonRequest(collection_id=collection_id, person_id=person_id)
    return (await calls.call(request)).person


def _owner_refusal(face: Any | None) -> Json:
    """Why a face that is not the user's cannot become theirs, or cannot be taken from them; or nothing."""
    if face is None:
        return {"Reasons": ["FACE_NOT_FOUND"]}
    if is_user(face.person_id):
        return {"UserId": face.person_id, "Reasons": ["ASSOCIATED_TO_A_DIFFERENT_USER"]}
    return {}


async def _score_refusal(
    calls: Calls, collection_id: str, person_id: str, face_id: str, percent: float
) -> Json:
    """Why a face is not associated, if it is less similar to the user's faces than it must be; or nothing."""
    probe = pb.Probe(face_id=face_id)
    answer = await calls.call(pb.VerifyRequest(collection_id=collection_id, person_id=person_id, probe=probe))
    if not answer.HasField("distance"):
        raise denied("UserMatchThreshold takes a key with `scores`: pass 0 to associate without comparing")
    similarity = percent_of(answer.distance, answer.threshold)
    if similarity >= percent:
        return {}
    return {"UserId": person_id, "Confidence": similarity, "Reasons": ["LOW_MATCH_CONFIDENCE"]}


async def disassociate_faces(parameters: Parameters, calls: Calls) -> Json:
    """DisassociateFaces: each face becomes that of a person of its own."""
    collection_id, person_id = parameters.text("CollectionId"), user_id(parameters)
    face_ids = parameters.face_ids(most=MAX_ASSOCIATED)
    parameters.unused(_REPEAT_ID)
    parameters.end()
    await _get_person(calls, collection_id, person_id)
    refused: list[Json] = []
    separated: list[Json] = []
    for face_id in face_ids:
        face = await get_face(calls, collection_id, face_id)
        if face is not None and face.person_id == person_id:
            await _separate(calls, collection_id, face)
            separated.append({"FaceId": face_id})
        elif why := _owner_refusal(face):
            refused.append({"FaceId": face_id} | why)
    person = await _get_person(calls, collection_id, person_id)
    return {
        "DisassociatedFaces": separated,
        "UnsuccessfulFaceDisassociations": refused,
        "UserStatus": _status(person),
    }
