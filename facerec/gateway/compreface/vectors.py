"""Searches and comparisons of vectors that the plugin `calculator` answered."""

from typing import Any

from facerec.encoder.v1 import encoder_pb2
from facerec.gateway.compreface import recognition, refusals
from facerec.gateway.compreface.asked import Asked
from facerec.gateway.compreface.calls import Calls
from facerec.gateway.compreface.refusals import Refused
from facerec.matcher.v1 import matcher_pb2


async def recognize(asked: Asked, calls: Calls) -> Any:
    """The nearest subjects of each vector. Raises Refused and Failed."""
    count, vectors = recognition.predictions(asked), _vectors(asked, "embeddings")
    probes = await _probes(calls, vectors)
    found, threshold = await recognition.search(calls, count, probes)
    result = [
        {"embedding": vector, "similarities": recognition.subjects_of(face, count, threshold)}
        for vector, face in zip(vectors, found, strict=True)
    ]
    return {"result": result}


async def verify_example(asked: Asked, calls: Calls) -> Any:
    """The similarity of each vector to an example. Raises Refused and Failed."""
    example = matcher_pb2.Probe(face_id=asked.image_id())
    return await _compare(calls, example, _vectors(asked, "embeddings"))


async def verify(asked: Asked, calls: Calls) -> Any:
    """The similarity of each vector to another. Raises Refused and Failed."""
    targets = _vectors(asked, "targets")
    [source] = await _probes(calls, [_vector(asked.field("source"), "source")])
    return await _compare(calls, source, targets)


async def _compare(calls: Calls, source: matcher_pb2.Probe, targets: list[list[float]]) -> Any:
    """The targets with their similarities, the most similar first."""
    result = [
        {"embedding": target, "similarity": await recognition.compare(calls, source, probe)}
        for target, probe in zip(targets, await _probes(calls, targets), strict=True)
    ]
    return {"result": sorted(result, key=_similarity, reverse=True)}


def _similarity(described: dict[str, Any]) -> float:
    return float(described["similarity"])


async def _probes(calls: Calls, vectors: list[list[float]]) -> list[matcher_pb2.Probe]:
    """The vectors as probes of the encoder's space, which is that of `calculator`."""
    space = (await calls.call("GetModel")).space
    return [
        matcher_pb2.Probe(encoding=encoder_pb2.Encoding(values=vector, space=space)) for vector in vectors
    ]


def _vectors(asked: Asked, name: str) -> list[list[float]]:
    found = asked.field(name)
    if not isinstance(found, list) or not found:
        raise Refused(f"Field {name} cannot be empty", refusals.EMPTY_FIELD)
    return [_vector(each, name) for each in found]


def _vector(found: Any, name: str) -> list[float]:
    """A vector of JSON; the matcher checks its length and numbers. Raises Refused."""
    if not isinstance(found, list) or any(type(each) not in (int, float) for each in found):
        raise Refused(f"{name} has something else than lists of numbers", refusals.BAD_ARGUMENT)
    try:
        return [float(each) for each in found]
    except OverflowError:
        raise Refused(f"{name} has too large a number", refusals.BAD_ARGUMENT) from None
