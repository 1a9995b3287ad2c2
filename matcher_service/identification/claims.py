"""Claims and searches with several photos of one person, as one face (fusion.py)."""

import dataclasses
import uuid
from collections.abc import Awaitable, Callable, Sequence

from matcher_service.domain.faces import Encoding, Probe, SearchMode
from matcher_service.identification.fusion import (
    Claimed,
    check_spaces,
    fuse,
    fused_distance,
    remaining_distance,
)
from matcher_service.identification.photos import ResolvedProbe, stored_face_not_found
from matcher_service.identification.query import Query, SearchResult
from matcher_service.identification.repository import DecisionRepository


async def claim_of(
    repository: DecisionRepository,
    collection_id: str,
    probes: Sequence[Probe],
    faces: Sequence[ResolvedProbe],
    *,
    max_staleness: float | None = None,
) -> Claimed:
    """One face of those of several probes; stored ones are read first, unless there is one probe only.

    Raises FaceNotFound, and what DecisionRepository raises.
    """
    if len(faces) == 1:
        return Claimed(faces[0].face)
    named = [face.face for face in faces if isinstance(face.face, uuid.UUID)]
    stored: dict[uuid.UUID, Encoding | None] = {}
    if named:
        read = await repository.read_probes(collection_id, named, max_staleness=max_staleness)
        stored = dict(zip(named, read, strict=True))
    encodings = []
    for probe, face in zip(probes, faces, strict=True):
        encoding = face.face if isinstance(face.face, Encoding) else stored[face.face]
        if encoding is None:
            raise stored_face_not_found(probe)
        encodings.append(encoding)
    return fuse(encodings)


async def search_same_person(
    repository: DecisionRepository,
    decide: Callable[[Query], Awaitable[SearchResult]],
    query: Query,
    probes: Sequence[Probe],
    faces: Sequence[ResolvedProbe],
) -> SearchResult:
    """Search for the person of several photos by `decide`; of `query` all but the face and the number of
    photos counts.

    Raises FaceNotFound, ModelMismatch, and what `decide` and DecisionRepository raise.
    """
    collection_id, max_staleness = query.collection_id, query.max_staleness
    claimed = await claim_of(repository, collection_id, probes, faces, max_staleness=max_staleness)
    threshold, space = await repository.search_defaults(collection_id, max_staleness)
    check_spaces(probes, faces, space)
    if query.max_distance is not None:
        threshold = query.max_distance
    remaining = remaining_distance(threshold, claimed.spread)
    if remaining is None:  # the photos are farther from each other than anybody may be from them
        return SearchResult(space, threshold, True, SearchMode.EXACT, 0, [], 0)
    found = await decide(
        dataclasses.replace(query, face=claimed.face, max_distance=remaining, photos=claimed.photos)
    )
    if not found.probe_found:
        raise stored_face_not_found(probes[0])
    candidates = [
        dataclasses.replace(each, distance=fused_distance(each.distance, claimed.spread, threshold))
        for each in found.candidates
    ]
    return dataclasses.replace(found, threshold=threshold, candidates=candidates)
