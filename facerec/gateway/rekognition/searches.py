"""The calls that search a collection: SearchFaces and SearchUsers, both also by image."""

import dataclasses
from collections.abc import Callable
from typing import Any, Final

import facerec.matcher.v1 as pb
from facerec.errors import Reason
from facerec.gateway import exchange
from facerec.gateway.failures import Failed
from facerec.gateway.rekognition.calls import Calls, Json
from facerec.gateway.rekognition.details import QUALITY_FILTERS, detail_json, poor
from facerec.gateway.rekognition.errors import denied, invalid
from facerec.gateway.rekognition.parameters import Parameters
from facerec.gateway.rekognition.people import is_user, user_id
from facerec.gateway.rekognition.scores import DEFAULT_PERCENT, max_distance_of, percent_of

BY_INDEX: Final = 50
"""Most candidates that an index answers; for more, Identify compares all faces."""
MAX_CANDIDATES: Final = 100


@dataclasses.dataclass(frozen=True)
class Found:
    """What a search found.

    Attributes:
        candidates: The people within the threshold asked for, nearest first.
        threshold: The collection's threshold, by which distances become similarities.
        is_complete: Whether these are all.
        space: The space of the vectors compared.
        face: The answer for the probe's face: its box and quality, if it is of an image.
    """

    candidates: list[Any]
    threshold: float
    is_complete: bool
    space: str
    face: Any


@dataclasses.dataclass(frozen=True)
class Search:
    """A search of a collection for the nearest people within a threshold in percent.

    Attributes:
        collection_id: The collection.
        probe: The face.
        percent: The least similarity.
        wanted: How many are wanted at most.
    """

    collection_id: str
    probe: pb.Probe
    percent: float
    wanted: int

    async def run(self, calls: Calls, keep: Callable[[Any], bool]) -> Found:
        """Find those that are to be kept, among more people if there may be others.

        Raises Refused without `scores`, and if there are more people than can be searched through.
        """
        for count in (BY_INDEX, MAX_CANDIDATES) if self.wanted <= BY_INDEX else (MAX_CANDIDATES,):
            found = await self._identify(calls, count)
            kept = list(filter(keep, found.candidates))
            if len(kept) >= self.wanted or found.is_complete:
                return dataclasses.replace(found, candidates=kept[: self.wanted])
        raise invalid(
            f"more than {MAX_CANDIDATES} people or faces without a user match: ask for fewer, or for more "
            "similar ones"
        )

    async def _identify(self, calls: Calls, count: int) -> Found:
        """Search once.

        The collection's threshold, on which a distance in percent depends, comes with the answer of a search
        that goes by it. One that asks for less similar faces is made again, with the distance that results.
        """
        request = pb.IdentifyRequest(
            collection_id=self.collection_id, probes=[self.probe], max_candidates=count
        )
        answer = await calls.call(request)
        threshold = answer.threshold
        if not answer.faces[0].HasField("exact"):
            raise denied("a search answers similarities, which take a key with `scores`")
        if self.percent < DEFAULT_PERCENT:
            request.max_distance = max_distance_of(self.percent, threshold)
            answer = await calls.call(request)
        [face] = answer.faces
        candidates = [
            each for each in face.candidates if percent_of(each.distance, threshold) >= self.percent
        ]
        # An index counts the people that it proposed, so as many as were asked for may not be all.
        is_counted = face.exact or len(face.candidates) < count
        is_complete = is_counted and face.matched_persons <= len(face.candidates)
        return Found(
            candidates, threshold, is_complete or len(candidates) < len(face.candidates), answer.space, face
        )


async def search_faces(parameters: Parameters, calls: Calls) -> Json:
    """SearchFaces: of each person the nearest face, without the one that is searched for."""
    face_id = parameters.text("FaceId")
    search = _face_search(parameters, pb.Probe(face_id=face_id))
    parameters.end()
    found = await search.run(calls, lambda each: each.face_id != face_id)
    return {
        "SearchedFaceId": face_id,
        "FaceMatches": await _face_matches(calls, search.collection_id, found),
        "FaceModelVersion": found.space,
    }


async def search_faces_by_image(parameters: Parameters, calls: Calls) -> Json:
    """SearchFacesByImage, for the largest face."""
    search = _face_search(parameters, _image_probe(parameters))
    quality_filter = parameters.choice("QualityFilter", QUALITY_FILTERS, "NONE")
    parameters.end()
    found = await search.run(calls, lambda each: True)
    if poor(found.face.quality, quality_filter):
        raise invalid("the face in the image is of too low quality for the QualityFilter")
    answer: Json = {
        "FaceMatches": await _face_matches(calls, search.collection_id, found),
        "FaceModelVersion": found.space,
    }
    box = _detail(found).get("BoundingBox")
    return answer | ({"SearchedFaceBoundingBox": box} if box else {})


def _detail(found: Found) -> Json:
    """The details of the face of an image that was searched for."""
    return detail_json(found.face, found.face.image_width, found.face.image_height)


def _image_probe(parameters: Parameters) -> pb.Probe:
    return pb.Probe(image=parameters.image("Image"), use_largest_face=True)


def _face_search(parameters: Parameters, probe: pb.Probe) -> Search:
    return Search(
        parameters.text("CollectionId"),
        probe,
        parameters.percent("FaceMatchThreshold", DEFAULT_PERCENT),
        parameters.whole("MaxFaces", default=BY_INDEX, least=1, most=4096),
    )


async def _face_matches(calls: Calls, collection_id: str, found: Found) -> list[Json]:
    """The faces found. A user's ExternalImageId is left out for a key that may not read faces."""
    matches = []
    may_read = True
    for each in found.candidates:
        face: Json = {"FaceId": each.face_id}
        reference = each.display_name
        if is_user(each.person_id):
            face["UserId"], reference = each.person_id, ""
            if may_read:
                request = pb.GetFaceRequest(collection_id=collection_id, face_id=each.face_id)
                answer = await calls.call_unless(request, Reason.NOT_PERMITTED, Reason.STORED_FACE_NOT_FOUND)
                may_read = answer is not None
                reference = answer.face.external_ref if answer else ""
        if reference:
            face["ExternalImageId"] = reference
        matches.append({"Similarity": percent_of(each.distance, found.threshold), "Face": face})
    return matches


async def search_users(parameters: Parameters, calls: Calls) -> Json:
    """SearchUsers: the users who are like a face, or like another user."""
    face_id, person_id = parameters.optional_text("FaceId"), ""
    if not face_id:
        person_id = user_id(parameters)
    probe = pb.Probe(face_id=face_id) if face_id else pb.Probe(person_id=person_id)
    search = _user_search(parameters, probe)
    parameters.end()
    found = await search.run(calls, lambda each: is_user(each.person_id))
    searched: Json = (
        {"SearchedFace": {"FaceId": face_id}} if face_id else {"SearchedUser": {"UserId": person_id}}
    )
    return {"UserMatches": _user_matches(found), "FaceModelVersion": found.space} | searched


async def search_users_by_image(parameters: Parameters, calls: Calls) -> Json:
    """SearchUsersByImage, for the largest face; without one nobody is found."""
    search = _user_search(parameters, _image_probe(parameters))
    quality_filter = parameters.choice("QualityFilter", QUALITY_FILTERS, "NONE")
    parameters.end()
    try:
        found = await search.run(calls, lambda each: is_user(each.person_id))
    except Failed as failed:
        if failed.reason != Reason.FACE_NOT_FOUND:
            raise
        exchange.current().forget_failure()
        return {"UserMatches": []}
    if poor(found.face.quality, quality_filter):
        return {"UserMatches": [], "FaceModelVersion": found.space}
    return {
        "UserMatches": _user_matches(found),
        "FaceModelVersion": found.space,
        "SearchedFace": {"FaceDetail": _detail(found)},
    }


def _user_search(parameters: Parameters, probe: pb.Probe) -> Search:
    return Search(
        parameters.text("CollectionId"),
        probe,
        parameters.percent("UserMatchThreshold", DEFAULT_PERCENT),
        parameters.whole("MaxUsers", default=BY_INDEX, least=1, most=500),
    )


def _user_matches(found: Found) -> list[Json]:
    return [
        {
            "Similarity": percent_of(each.distance, found.threshold),
            "User": {"UserId": each.person_id, "UserStatus": "ACTIVE"},
        }
        for each in found.candidates
    ]
