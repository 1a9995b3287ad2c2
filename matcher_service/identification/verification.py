"""Decides claims: whether a face, of which there may be several photos, is a person's."""

from collections.abc import Sequence

from facerec.serving.middleware import call
from matcher_service.domain.attributes import PersonFilter
from matcher_service.domain.errors import FaceNotFound, PersonNotFound, PersonSuspended
from matcher_service.domain.faces import Encoder, Probe, Verification
from matcher_service.identification.claims import claim_of
from matcher_service.identification.failed_tries import FailedTries
from matcher_service.identification.fusion import check_spaces
from matcher_service.identification.photos import ResolvedProbe, single_faces, stored_face_not_found
from matcher_service.identification.query import VerifyResult
from matcher_service.identification.repository import DecisionRepository
from matcher_service.identification.search import Search


class Verifier:
    """Compares claims with a person's faces; the encoder computes the encodings of photos."""

    def __init__(
        self, repository: DecisionRepository, search: Search, encoder: Encoder, tries: FailedTries
    ) -> None:
        self._repository = repository
        self._search = search
        self._encoder = encoder
        self._tries = tries

    async def verify(
        self,
        collection_id: str,
        person_id: str,
        probes: Sequence[Probe],
        max_distance: float | None,
        among: PersonFilter,
    ) -> Verification:
        """Decide whether the probes' face is the person's; `max_distance` None means the collection's verify
        threshold.

        A person whom `among` does not select is as one who is not enrolled.

        Raises PersonNotFound, PersonSuspended, FaceNotFound, ModelMismatch, and TriesExhausted for callers
        whose tries are counted.
        """
        faces = await single_faces(self._encoder, probes)
        claimed = await claim_of(self._repository, collection_id, probes, faces)
        if among:
            person = PersonFilter(among.labels, (person_id,))
            keys, _ = await self._search.narrow(collection_id, person, with_suspended=True)
            if not keys:
                raise _not_found()
        per_day = call.failed_tries_per_day()
        found = (
            await self._repository.verify(collection_id, person_id, claimed)
            if per_day is None
            else await self._tries.verify(collection_id, person_id, claimed, max_distance, per_day)
        )
        check_spaces(probes, faces, found.space)
        if not found.person_found:
            raise _not_found()
        if found.suspended:
            raise PersonSuspended(
                "the person is suspended and matches no claim: have the person resumed (UpdatePerson)",
                field="person_id",
            )
        if not found.probe_found:
            raise stored_face_not_found(probes[0])
        return _verification(found, max_distance, faces)


def _not_found() -> PersonNotFound:
    return PersonNotFound("the collection has no person with this id", field="person_id")


def _verification(
    found: VerifyResult, max_distance: float | None, faces: Sequence[ResolvedProbe]
) -> Verification:
    """Decide from the statement's result. Raises FaceNotFound."""
    if found.face_id is None or found.distance is None:
        raise FaceNotFound("the person has no face to compare with: enroll one", field="person_id")
    threshold = found.threshold if max_distance is None else max_distance
    return Verification(
        match=found.distance <= threshold,
        distance=found.distance,
        threshold=threshold,
        nearest_face_id=found.face_id,
        faces=found.faces,
        space=found.space,
        rule=found.rule,
        qualities=[face.quality for face in faces],
    )
