"""Who the faces of a photo are, and what it shows: searches and comparisons of photos."""

from collections.abc import Sequence
from typing import Any, Final

from facerec.errors import FacerecError, Reason
from facerec.gateway import failures
from facerec.gateway.compreface import refusals
from facerec.gateway.compreface.asked import Asked
from facerec.gateway.compreface.calls import Calls
from facerec.gateway.compreface.photo_faces import (
    FaceOptions,
    PhotoFace,
    box_of,
    find_faces,
    one_face,
    plugins_versions,
)
from facerec.gateway.compreface.refusals import Refused
from facerec.gateway.compreface.scores import similarity
from facerec.gateway.similarity import MAX_DISTANCE
from facerec.matcher.v1 import matcher_pb2

MAX_PREDICTIONS: Final = 100
_MAX_PROBES: Final = 16  # of one Identify

Found = tuple[list[matcher_pb2.IdentifiedFace], float]
"""What Identify answers of each face, and the collection's threshold."""


async def detect(asked: Asked, calls: Calls) -> Any:
    """The faces of a photo. Raises Refused and Failed."""
    options = FaceOptions.of(asked)
    faces = await find_faces(calls, asked.photo("file"), options, encode=False)
    described = [face.to_json(options) for face in faces]
    return {"result": described} | await plugins_versions(calls, options)


async def recognize(asked: Asked, calls: Calls) -> Any:
    """The faces of a photo, each with the nearest subjects. Raises Refused and Failed."""
    options, count = FaceOptions.of(asked), predictions(asked)
    if not asked.truth("detect_faces", default=True):
        raise Refused("detect_faces=false is not supported: faces are searched for", refusals.BAD_ARGUMENT)
    photo = asked.photo("file")
    faces = await find_faces(calls, photo, options, encode=calls.sends_vectors)
    if calls.sends_vectors:
        found, threshold = await search(calls, count, [face.as_vector() for face in faces])
    else:
        found, threshold = await _search_photo(calls, count, faces)
    result = [
        face.to_json(options) | {"subjects": subjects_of(each, count, threshold)}
        for face, each in zip(faces, found, strict=True)
    ]
    return {"result": result} | await plugins_versions(calls, options)


def predictions(asked: Asked) -> int:
    """How many subjects are answered of each face. Raises Refused."""
    return asked.whole("prediction_count", 1, 1, MAX_PREDICTIONS)


async def search(calls: Calls, count: int, probes: Sequence[matcher_pb2.Probe]) -> Found:
    """Search for the faces of vectors. Raises Failed."""
    found: list[matcher_pb2.IdentifiedFace] = []
    threshold = 0.0
    for at in range(0, len(probes), _MAX_PROBES):
        some, threshold = await _search(calls, count, probes=probes[at : at + _MAX_PROBES])
        found += some
    return found, threshold


async def _search_photo(calls: Calls, count: int, faces: Sequence[PhotoFace]) -> Found:
    """Search for faces of a photo, by the photo. Raises Failed."""
    probe = matcher_pb2.Probe(image=faces[0].photo)
    found, threshold = await _search(calls, count, probes=[probe], all_faces=True)
    by_box = {box_of(each.bounding_box): each for each in found}
    if any(face.box not in by_box for face in faces):
        raise failures.fail(
            FacerecError("the gateway's encoder and the matcher's differ: give both the same")
        )
    return [by_box[face.box] for face in faces], threshold


async def _search(calls: Calls, count: int, **fields: Any) -> Found:
    """Search once, and again where fewer than `count` persons are within the collection's threshold.

    The second search answers those beyond it, as CompreFace does: for callers who see distances, as others
    may not learn who is near without a match.
    """
    within = await calls.call("Identify", max_candidates=count, **fields)
    if any(len(face.candidates) < count and face.HasField("exact") for face in within.faces):
        beyond = await calls.call("Identify", max_candidates=count, max_distance=MAX_DISTANCE, **fields)
        return list(beyond.faces), within.threshold
    return list(within.faces), within.threshold


def subjects_of(found: matcher_pb2.IdentifiedFace, count: int, threshold: float) -> list[dict[str, Any]]:
    """The candidates of a face. Raises Failed if they are some of several that cannot be told apart."""
    sees_scores = found.HasField("exact")
    if not sees_scores and found.matched_persons > count:
        raise failures.fail(
            FacerecError(
                f"{found.matched_persons} subjects match and this key sees no distances to tell which is "
                "nearest: ask for a larger prediction_count, or use a key with scores",
                reason=Reason.OPTION_INVALID,
                field="prediction_count",
            )
        )
    return [
        {
            "subject": each.person_id,
            "similarity": similarity(each.distance if sees_scores else None, threshold, match=True),
        }
        for each in found.candidates
    ]


async def verify_example(asked: Asked, calls: Calls) -> Any:
    """The faces of a photo, each with its similarity to an example. Raises Refused and Failed."""
    options, image_id = FaceOptions.of(asked), asked.image_id()
    photo = asked.photo("file")
    subject = (await calls.call("GetFace", face_id=image_id)).face.person_id
    example = matcher_pb2.Probe(face_id=image_id)
    result = []
    for face in await find_faces(calls, photo, options, encode=True):
        near = await compare(calls, _probe(calls, face), example)
        result.append(face.to_json(options) | {"subject": subject, "similarity": near})
    return {"result": result} | await plugins_versions(calls, options)


async def verify_photos(asked: Asked, calls: Calls) -> Any:
    """The faces of a photo, each with its similarity to the face of another. Raises Refused and Failed."""
    options = FaceOptions.of(asked)
    photos = asked.photo("source_image"), asked.photo("target_image")
    source = one_face(await find_faces(calls, photos[0], options, encode=True))
    matches = []
    for target in await find_faces(calls, photos[1], options, encode=True):
        near = await compare(calls, _probe(calls, source), _probe(calls, target))
        matches.append(target.to_json(options) | {"similarity": near})
    answer = {"source_image_face": source.to_json(options), "face_matches": matches}
    return {"result": [answer | await plugins_versions(calls, options)]}


def _probe(calls: Calls, face: PhotoFace) -> matcher_pb2.Probe:
    """A face to compare: as a vector if the key may send those, or if its photo has a larger face."""
    return face.as_vector() if calls.sends_vectors or face.index else face.as_photo()


async def compare(calls: Calls, a: matcher_pb2.Probe, b: matcher_pb2.Probe) -> float:
    """The similarity of two faces, 0 to 1. Raises Failed."""
    compared = await calls.call("Compare", probe_a=a, probe_b=b)
    distance = compared.distance if compared.HasField("distance") else None
    return similarity(distance, compared.threshold, match=compared.match)
