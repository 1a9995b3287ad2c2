"""CompareFaces."""

from typing import Any

import facerec.matcher.v1 as pb
from facerec.gateway.rekognition.calls import Calls, Json
from facerec.gateway.rekognition.details import QUALITY_FILTERS, detail_json, poor
from facerec.gateway.rekognition.errors import denied, invalid
from facerec.gateway.rekognition.faces import encode
from facerec.gateway.rekognition.parameters import Parameters
from facerec.gateway.rekognition.scores import DEFAULT_PERCENT, percent_of


async def compare_faces(parameters: Parameters, calls: Calls) -> Json:
    """CompareFaces: the source's largest face with each of the target's, by the matcher's Compare.

    The verify threshold of the collection `default` makes similarities of distances.
    """
    images = parameters.image("SourceImage"), parameters.image("TargetImage")
    percent = parameters.percent("SimilarityThreshold", DEFAULT_PERCENT)
    quality_filter = parameters.choice("QualityFilter", QUALITY_FILTERS, "NONE")
    parameters.end()
    source, target = [
        await _faces(calls, image, quality_filter, name)
        for name, image in zip(("SourceImage", "TargetImage"), images, strict=True)
    ]
    scored = [(await _score(calls, source[0][0], face), detail) for face, detail in target]
    scored.sort(key=lambda pair: -pair[0])
    return {
        "SourceImageFace": {"BoundingBox": source[0][1]["BoundingBox"]},
        "FaceMatches": [
            {"Similarity": score, "Face": detail} for score, detail in scored if score >= percent
        ],
        "UnmatchedFaces": [detail for score, detail in scored if score < percent],
    }


async def _faces(calls: Calls, image: bytes, quality_filter: str, name: str) -> list[tuple[Any, Json]]:
    """The faces of an image that a filter leaves, with their details. Raises Refused if there are none."""
    answer = await encode(calls, image)
    found = [
        (face, detail_json(face, answer.image_width, answer.image_height))
        for face in answer.faces
        if not poor(face.quality, quality_filter)
    ]
    if not found:
        raise invalid(f"{name}: there are no faces in the image, or none of the quality asked for")
    return found


async def _score(calls: Calls, source: Any, target: Any) -> float:
    """The similarity of two faces in percent."""
    probes = [pb.Probe(encoding=face.encoding) for face in (source, target)]
    answer = await calls.call(pb.CompareRequest(probe_a=probes[0], probe_b=probes[1]))
    if not answer.HasField("distance"):
        raise denied("CompareFaces answers similarities, which take a key with `scores`")
    return percent_of(answer.distance, answer.threshold)
