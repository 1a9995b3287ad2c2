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
from facerec.matcher.v1 import matcher_pb2

MAX_PREDICTIONS: Final = 100
_MAX_DISTANCE: Final = 4.0  # the largest that Identify takes


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
    faces = await find_faces(calls, photo, options, encode=False)
    found, threshold = await search(calls, count, [matcher_pb2.Probe(image=photo)], all_faces=True)
    by_box = {box_of(each.bounding_box): each for each in found}
    result = []
    for face in faces:
        if face.box not in by_box:
            raise failures.fail(
                FacerecError("the gateway's encoder and the matcher's differ: give both the same")
            )
        nearest = subjects_of(by_box[face.box], count, threshold)
        result.append(face.to_json(options) | {"subjects": nearest})
    return {"result": result} | await plugins_versions(calls, options)


def predictions(asked: Asked) -> int:
    """How many subjects are answered of each face. Raises Refused."""
    return asked.whole("prediction_count", 1, 1, MAX_PREDICTIONS)


async def search(
    calls: Calls, count: int, probes: Sequence[matcher_pb2.Probe], *, all_faces: bool
) -> tuple[list[matcher_pb2.IdentifiedFace], float]:
    """Search for faces; returns their answers and the collection's threshold. Raises Failed.

    Where fewer than `count` persons are within the threshold, those beyond follow, as CompreFace answers
    them too: for callers who see distances, as others may not learn who is near without a match.
    """
    fields = {"probes": probes, "all_faces": all_faces, "max_candidates": count}
    within = await calls.call("Identify", **fields)
    if any(len(face.candidates) < count and face.HasField("exact") for face in within.faces):
        beyond = await calls.call("Identify", **fields, max_distance=_MAX_DISTANCE)
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
        probe = face.as_vector() if face.index else face.as_photo()
        near = await compare(calls, probe, example)
        result.append(face.to_json(options) | {"subject": subject, "similarity": near})
    return {"result": result} | await plugins_versions(calls, options)


async def verify_photos(asked: Asked, calls: Calls) -> Any:
    """The faces of a photo, each with its similarity to the face of another. Raises Refused and Failed."""
    options = FaceOptions.of(asked)
    photos = asked.photo("source_image"), asked.photo("target_image")
    source = one_face(await find_faces(calls, photos[0], options, encode=True))
    matches = []
    for target in await find_faces(calls, photos[1], options, encode=True):
        near = await compare(calls, *_probes(source, target))
        matches.append(target.to_json(options) | {"similarity": near})
    answer = {"source_image_face": source.to_json(options), "face_matches": matches}
    return {"result": [answer | await plugins_versions(calls, options)]}


def _probes(source: PhotoFace, target: PhotoFace) -> tuple[matcher_pb2.Probe, matcher_pb2.Probe]:
    """Two faces to compare: as photos if each is its photo's largest, as vectors take a right."""
    if source.index or target.index:
        return source.as_vector(), target.as_vector()
    return source.as_photo(), target.as_photo()


async def compare(calls: Calls, a: matcher_pb2.Probe, b: matcher_pb2.Probe) -> float:
    """The similarity of two faces, 0 to 1. Raises Failed."""
    compared = await calls.call("Compare", probe_a=a, probe_b=b)
    distance = compared.distance if compared.HasField("distance") else None
    return similarity(distance, compared.threshold, match=compared.match)
