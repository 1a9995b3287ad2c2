"""Compares two faces, or the nearest of the faces of persons."""

import uuid

from matcher_service.domain.faces import Comparison, Encoder, Encoding, PersonProbe, Probe
from matcher_service.identification.person_probes import MAX_PERSON_FACES, check_faces
from matcher_service.identification.photos import (
    ResolvedProbe,
    check_space,
    single_face,
    single_faces,
    stored_face_not_found,
)
from matcher_service.identification.query import ComparedSide
from matcher_service.identification.repository import DecisionRepository

AnyProbe = Probe | PersonProbe


class Comparer:
    """Compares probes; the encoder computes the encodings of photos."""

    def __init__(self, repository: DecisionRepository, encoder: Encoder) -> None:
        self._repository = repository
        self._encoder = encoder

    async def compare(
        self, collection_id: str, a: AnyProbe, b: AnyProbe, max_distance: float | None
    ) -> Comparison:
        """Measure the distance of two probes; `max_distance` None means the collection's verify threshold.

        Raises FaceNotFound, ModelMismatch, PersonNotFound, OptionInvalid, and what the encoder and the
        repository raise.
        """
        if isinstance(a, Probe) and isinstance(b, Probe):
            return await self._compare_faces(collection_id, a, b, max_distance)
        return await self._compare_persons(collection_id, a, b, max_distance)

    async def _compare_persons(
        self, collection_id: str, a: AnyProbe, b: AnyProbe, max_distance: float | None
    ) -> Comparison:
        """Measure the nearest faces of two sides, of which one at least is a person."""
        side_a, side_b = [
            each if isinstance(each, PersonProbe) else await single_face(self._encoder, each)
            for each in (a, b)
        ]
        found = await self._repository.compare_persons(
            collection_id, _given(side_a), _given(side_b), max_faces=MAX_PERSON_FACES + 1
        )
        _check(a, side_a, found.a, found.space)
        _check(b, side_b, found.b, found.space)
        assert found.distance is not None
        threshold = found.threshold if max_distance is None else max_distance
        return Comparison(
            match=found.distance <= threshold,
            distance=found.distance,
            threshold=threshold,
            space=found.space,
            quality_a=None if isinstance(side_a, PersonProbe) else side_a.quality,
            quality_b=None if isinstance(side_b, PersonProbe) else side_b.quality,
            face_id_a=found.a.face_id if isinstance(a, PersonProbe) else None,
            face_id_b=found.b.face_id if isinstance(b, PersonProbe) else None,
        )

    async def _compare_faces(
        self, collection_id: str, a: Probe, b: Probe, max_distance: float | None
    ) -> Comparison:
        resolved_a, resolved_b = await single_faces(self._encoder, [a, b])
        face_a, face_b = resolved_a.face, resolved_b.face
        found = await self._repository.compare(collection_id, face_a, face_b)
        check_space(face_a, a, found.space)
        check_space(face_b, b, found.space)
        if not found.a_found:
            raise stored_face_not_found(a)
        if found.distance is None:
            raise stored_face_not_found(b)
        threshold = found.threshold if max_distance is None else max_distance
        return Comparison(
            match=found.distance <= threshold,
            distance=found.distance,
            threshold=threshold,
            space=found.space,
            quality_a=resolved_a.quality,
            quality_b=resolved_b.quality,
        )


def _given(side: ResolvedProbe | PersonProbe) -> Encoding | uuid.UUID | str:
    return side.person_id if isinstance(side, PersonProbe) else side.face


def _check(probe: AnyProbe, side: ResolvedProbe | PersonProbe, read: ComparedSide, space: str) -> None:
    """Raise the error of a side that cannot be compared."""
    if isinstance(probe, PersonProbe):
        check_faces(probe, found=read.person_found, faces=read.faces)
    elif isinstance(side, ResolvedProbe):
        check_space(side.face, probe, space)
        if not read.faces:
            raise stored_face_not_found(probe)
