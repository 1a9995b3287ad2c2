"""Checks whether a collection accepts a face: its quality, and whether it is more likely another person's."""

import dataclasses
import uuid
from collections.abc import Sequence

from facerec.serving.middleware import call
from matcher_service import caller_rights as rights
from matcher_service.domain.errors import FaceDuplicate, FaceInconsistent, FaceQuality
from matcher_service.domain.faces import Candidate, Encoding, Inconsistency, OthersCheck, Probe
from matcher_service.identification.failed_tries import FailedTries
from matcher_service.identification.photos import ResolvedProbe
from matcher_service.identification.query import Query, face_values
from matcher_service.identification.search import Search
from matcher_service.persons.preview import Policy
from matcher_service.postgres.database import Database


class EnrollmentChecks:
    """Checks a face to enroll against the collection's policy."""

    def __init__(self, database: Database, search: Search, tries: FailedTries) -> None:
        self._database = database
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

    async def find_others(
        self,
        collection_id: str,
        person_id: str,
        face: Encoding | uuid.UUID,
        probe: Probe,
        policy: Policy,
        *,
        scores: bool = True,
        without: Sequence[uuid.UUID] = (),
    ) -> OthersCheck | None:
        """Search for another person within the duplicate threshold, and compare with the person's own faces.
        Suspended people are found too: they are not to come back under another id.

        Returns the nearest with `scores`, else the first by person id. The person's own faces `without` are
        left out. Returns None without a search if the policies need none, or if a caller without scores may
        have chosen the vector.

        For the policies `flag` an index result is accepted: exact scans of a large collection would limit
        enrollment to some twenty per second. For `refuse` every face is compared. The search runs before the
        transaction, which for `refuse` then compares with the faces enrolled since. Raises as Search does.
        """
        if not policy.searches or rights.allows_hill_climbing(probe):
            return None
        return await self._find(collection_id, person_id, face, policy, scores=scores, without=without)

    async def _find(
        self,
        collection_id: str,
        person_id: str,
        face: Encoding | uuid.UUID,
        policy: Policy,
        *,
        scores: bool,
        without: Sequence[uuid.UUID] = (),
    ) -> OthersCheck:
        query = Query(collection_id, face, policy.duplicate_threshold, 2, scores=scores, with_suspended=True)
        found = await (
            self._search.search_exactly(query) if policy.refuses else self._search.search_index(query)
        )
        others = [candidate for candidate in found.candidates if candidate.person_id != person_id]
        if not others:
            return OthersCheck(found.mode, None)
        if policy.consistency == "allow":
            return OthersCheck(found.mode, others[0])
        return OthersCheck(
            found.mode, others[0], await self._inconsistency(query, person_id, others[0], without)
        )

    async def _inconsistency(
        self, query: Query, person_id: str, other: Candidate, without: Sequence[uuid.UUID]
    ) -> Inconsistency | None:
        """Compare with the nearest of the person's own faces.

        Without scores whether the other person is nearer must not be told: then no own face may be within
        the threshold, within which the other one is.
        """
        own = await self._database.row(
            "nearest_own_face",
            query.collection_id,
            person_id=person_id,
            **face_values(query.face),
            without_face_ids=without,
        )
        bound = other.distance if query.scores else query.max_distance
        if own is None or bound is None or own["distance"] <= bound:
            return None
        return Inconsistency(other, own["face_id"], own["distance"])

    async def check_others(
        self,
        collection_id: str,
        person_id: str,
        face: Encoding | uuid.UUID,
        probe: Probe,
        policy: Policy,
        *,
        scores: bool = True,
    ) -> OthersCheck | None:
        """Search as `find_others`, and raise FaceDuplicate or FaceInconsistent by the policies.

        A caller that may have chosen the vector has a limited number of refusals. Raises TriesExhausted.
        """
        if not policy.refuses:
            return await self.find_others(collection_id, person_id, face, probe, policy, scores=scores)
        per_day = call.failed_tries_per_day()
        if per_day is None or not rights.allows_hill_climbing(probe):
            return _accepted(
                await self._find(collection_id, person_id, face, policy, scores=scores), probe, policy
            )
        async with self._tries.charged_search(collection_id, per_day):
            return _accepted(
                await self._find(collection_id, person_id, face, policy, scores=scores), probe, policy
            )

    @staticmethod
    def answered(check: OthersCheck | None, probe: Probe, policy: Policy) -> OthersCheck | None:
        """What of a check is answered: of a vector that a caller without scores may have chosen, nothing."""
        if check is None or rights.allows_hill_climbing(probe):
            return None
        return dataclasses.replace(check, other=None) if policy.duplicates == "allow" else check

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


def _accepted(check: OthersCheck, probe: Probe, policy: Policy) -> OthersCheck:
    """Return the check, or raise FaceDuplicate or FaceInconsistent if the policy refuses what was found."""
    if check.other and policy.duplicates == "refuse":
        raise face_duplicate(probe, check.other.person_id)
    if check.inconsistency and policy.consistency == "refuse":
        raise FaceInconsistent(
            "the face is rather that of the person that this error's metadata names than of its own: check "
            "whose it is, or set the collection's consistency_policy to allow it",
            field=probe.field,
            metadata={"person_id": check.inconsistency.other.person_id},
        )
    return check
