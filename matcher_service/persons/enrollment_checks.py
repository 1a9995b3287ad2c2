"""Checks whether a collection accepts a face: its quality, and that it is no duplicate."""

import uuid

from facerec.serving.middleware import call
from matcher_service import caller_rights as rights
from matcher_service.domain.errors import FaceDuplicate, FaceQuality
from matcher_service.domain.faces import DuplicateCheck, Encoding, Probe
from matcher_service.identification.failed_tries import FailedTries
from matcher_service.identification.photos import ResolvedProbe
from matcher_service.identification.query import Query
from matcher_service.identification.search import Search
from matcher_service.persons.preview import Policy


class EnrollmentChecks:
    """Checks a face to enroll against the collection's policy."""

    def __init__(self, search: Search, tries: FailedTries) -> None:
        self._search = search
        self._tries = tries

    @staticmethod
    def check_quality(resolved: ResolvedProbe, probe: Probe, policy: Policy) -> None:
        """Raises FaceQuality for a photo's face that is too small, or has a refused quality reason."""
        if resolved.quality is None:
            return
        side = resolved.quality.face_pixels
        if side < policy.min_face_pixels:
            raise FaceQuality(
                f"the face is {side} pixels on its shorter side and the collection requires "
                f"{policy.min_face_pixels}: send a larger image of it",
                field=f"{probe.field}.image",
                metadata={"reasons": "TOO_SMALL"},
            )
        poor = [reason for reason in resolved.quality.reasons if reason in policy.refused_qualities]
        if poor:
            words = " and ".join(reason.lower().replace("_", " ") for reason in poor)
            raise FaceQuality(
                f"the face is {words}: send a better image of it, or have the collection's quality policy "
                "accept such faces",
                field=f"{probe.field}.image",
                metadata={"reasons": ",".join(poor)},
            )

    async def find_duplicates(
        self,
        collection_id: str,
        person_id: str,
        face: Encoding | uuid.UUID,
        probe: Probe,
        policy: Policy,
        *,
        scores: bool = True,
    ) -> DuplicateCheck | None:
        """Search for another person within the duplicate threshold.

        Returns the nearest with `scores`, else the first by person id. Returns None without a search if the
        policy allows duplicates, or if a caller without scores may have chosen the vector.

        For the policy `flag` an index result is accepted: exact scans of a large collection would limit
        enrollment to some twenty per second. For `refuse` every face is compared. The search runs before the
        transaction, which for `refuse` then compares with the faces enrolled since. Raises as Search does.
        """
        if policy.duplicates == "allow" or rights.allows_hill_climbing(probe):
            return None
        return await self._find(collection_id, person_id, face, policy, scores=scores)

    async def _find(
        self, collection_id: str, person_id: str, face: Encoding | uuid.UUID, policy: Policy, *, scores: bool
    ) -> DuplicateCheck:
        query = Query(collection_id, face, policy.duplicate_threshold, 2, scores=scores)
        refuses = policy.duplicates == "refuse"
        found = await (self._search.search_exactly(query) if refuses else self._search.search_index(query))
        others = [candidate for candidate in found.candidates if candidate.person_id != person_id]
        return DuplicateCheck(found.mode, others[0] if others else None)

    async def check_duplicates(
        self,
        collection_id: str,
        person_id: str,
        face: Encoding | uuid.UUID,
        probe: Probe,
        policy: Policy,
        *,
        scores: bool = True,
    ) -> DuplicateCheck | None:
        """Search as `find_duplicates`, and raise FaceDuplicate if the policy refuses the duplicate.

        A caller that may have chosen the vector has a limited number of refusals. Raises TriesExhausted.
        """
        if policy.duplicates != "refuse":
            return await self.find_duplicates(collection_id, person_id, face, probe, policy, scores=scores)
        per_day = call.failed_tries_per_day()
        if per_day is None or not rights.allows_hill_climbing(probe):
            return _accepted(await self._find(collection_id, person_id, face, policy, scores=scores), probe)
        async with self._tries.charged_search(collection_id, per_day):
            _accepted(await self._find(collection_id, person_id, face, policy, scores=scores), probe)
        return None

    async def count_refusal(self, collection_id: str, probe: Probe) -> None:
        """Count a duplicate found while the face was stored. Raises TriesExhausted."""
        per_day = call.failed_tries_per_day()
        if per_day is not None and rights.allows_hill_climbing(probe):
            await self._tries.count_refusal(collection_id, per_day)


def face_duplicate(probe: Probe, person_id: str) -> FaceDuplicate:
    """The error for a duplicate of this person's face."""
    return FaceDuplicate(
        "the face is a duplicate of the person that this error's metadata names: merge the two persons, or "
        "set the collection's duplicate_policy to allow it",
        field=probe.field,
        metadata={"person_id": person_id},
    )


def _accepted(check: DuplicateCheck, probe: Probe) -> DuplicateCheck:
    """Return the check, or raise FaceDuplicate if a duplicate was found."""
    if check.other:
        raise face_duplicate(probe, check.other.person_id)
    return check
