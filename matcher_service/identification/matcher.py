"""Verify, Identify and Compare."""

import collections
import dataclasses
from collections.abc import Sequence

from facerec.serving.middleware import call
from matcher_service import caller_rights as rights
from matcher_service.audit.changes import Action
from matcher_service.audit.decisions import DecisionLog
from matcher_service.calibration.expected_false_positives import CalibrationCache
from matcher_service.domain.attributes import PersonFilter
from matcher_service.domain.concurrency import gather_or_cancel
from matcher_service.domain.faces import (
    Comparison,
    Encoder,
    Identification,
    PersonProbe,
    Probe,
    Verification,
)
from matcher_service.identification.attributes import with_attributes
from matcher_service.identification.claims import search_same_person
from matcher_service.identification.comparison import AnyProbe, Comparer
from matcher_service.identification.failed_tries import MAX_COUNTED_PERSONS, FailedTries
from matcher_service.identification.person_probes import by_probe, faces_of
from matcher_service.identification.photos import (
    PHOTOS_IN_FLIGHT,
    ResolvedProbe,
    check_space,
    every_face,
    single_face,
    stored_face_not_found,
)
from matcher_service.identification.query import Query, SearchResult
from matcher_service.identification.repository import DecisionRepository
from matcher_service.identification.search import SEARCHES_IN_FLIGHT, Search
from matcher_service.identification.verification import Verifier

DEFAULT_MAX_CANDIDATES = 5
EVERYBODY = PersonFilter()


class Matcher:
    """Compares probes with the stored faces; the encoder computes the encodings of photos.

    A match is `distance <= threshold`, both float64 as computed by Postgres. Every method raises what
    DecisionRepository raises, and for photos what the encoder raises, FaceNotFound and FaceAmbiguous.
    """

    def __init__(
        self,
        repository: DecisionRepository,
        search: Search,
        encoder: Encoder,
        calibrations: CalibrationCache,
        decisions: DecisionLog,
        *,
        tries: FailedTries,
    ) -> None:
        self._repository = repository
        self._tries = tries
        self._calibrations = calibrations
        self._decisions = decisions
        self._search = search
        self._encoder = encoder
        self._verifier = Verifier(repository, search, encoder, tries)
        self._comparer = Comparer(repository, encoder)

    async def verify(
        self,
        collection_id: str,
        person_id: str,
        probes: Sequence[Probe],
        max_distance: float | None,
        *,
        include_attributes: bool = False,
        among: PersonFilter = EVERYBODY,
    ) -> Verification:
        """Decide whether a face, of which there may be several photos, is the person's; a match has the
        person's attributes if they are included.

        A person whom `among` does not select is as one who is not enrolled.

        Raises PersonNotFound, PersonSuspended, FaceNotFound, ModelMismatch, and TriesExhausted for callers
        whose tries are counted.
        """
        verification = await self._verifier.verify(collection_id, person_id, probes, max_distance, among)
        self._decisions.add(collection_id, Action.VERIFY, person_id, match=verification.match)
        if not (include_attributes and verification.match):
            return verification
        attributes = await self._repository.read_attributes(collection_id, [person_id])
        return dataclasses.replace(verification, attributes=attributes.get(person_id))

    async def compare(
        self, collection_id: str, a: AnyProbe, b: AnyProbe, max_distance: float | None
    ) -> Comparison:
        """Measure the distance of two faces, or the nearest of persons' faces.

        Raises FaceNotFound, ModelMismatch, PersonNotFound, and OptionInvalid for a person with many faces.
        """
        found = await self._comparer.compare(collection_id, a, b, max_distance)
        self._decisions.add(collection_id, Action.COMPARE, None, match=found.match)
        return found

    async def identify(
        self,
        collection_id: str,
        probes: Sequence[AnyProbe],
        *,
        max_distance: float | None,
        max_candidates: int = DEFAULT_MAX_CANDIDATES,
        all_faces: bool = False,
        exact_only: bool = False,
        min_face_pixels: int = 0,
        scores: bool = True,
        include_attributes: bool = False,
        chosen: PersonFilter = EVERYBODY,
        max_staleness: float | None = None,
        same_person: bool = False,
    ) -> tuple[list[Identification], float, str]:
        """Find the persons whose faces are within the threshold; also returns the threshold and the space.

        Candidates are the nearest, nearest first; without `scores` they are the first by person id, and the
        search depends only on which persons are within the threshold. Only the `chosen` people are searched;
        few of them are tried as by `verify` each.

        There is one answer per probe, or with `all_faces` one per face of each photo. A person is one probe
        of all their faces, and not among the candidates. Several faces are searched for at once
        (SEARCHES_IN_FLIGHT), so that those that need an exact scan share it. With `same_person` the probes
        are photos of one person, none is a person, and there is one answer.
        Raises ScoresWithheld for several such photos of a caller without scores, unless few people are
        chosen, FaceNotFound, ModelMismatch, RateLimited for more faces than the caller's rate has left,
        TriesExhausted for callers whose tries are counted, and of a person PersonNotFound, and OptionInvalid
        for many faces. What is found has all that was committed
        `max_staleness` seconds before the search, None for 0. With it StoreUnavailable is raised if its audit
        event would find no room.
        """
        if max_staleness is not None:
            self._decisions.check_room()
        resolved = await self._resolve(collection_id, probes, all_faces, min_face_pixels, max_staleness)
        found_in = collections.Counter(index for index, _ in resolved)
        call.charge(sum(max(1, found_in[index]) for index in range(len(probes))))
        person_keys, labels_path = await self._search.narrow(
            collection_id, chosen, max_staleness=max_staleness
        )
        if same_person and len(resolved) > 1 and not _are_few(person_keys):
            rights.check_may_search_by_mean("same_person")

        def query(face: ResolvedProbe) -> Query:
            return Query(
                collection_id,
                face.face,
                max_distance,
                max_candidates,
                exact_only,
                scores=scores,
                person_keys=person_keys and [key for key in person_keys if key != face.person_key],
                labels_path=labels_path,
                max_staleness=max_staleness,
                left_out_key=face.person_key,
            )

        if same_person:
            photos = [probe for probe in probes if isinstance(probe, Probe)]
            faces = [face for _, face in resolved]
            answers = [await self._identify_same_person(query(faces[0]), photos, faces)]
        else:
            searches = (self._identify(query(face), probes[index], face, index) for index, face in resolved)
            found = await gather_or_cancel(searches, limit=SEARCHES_IN_FLIGHT)
            answers = by_probe(probes, resolved, found, max_candidates)
        for answer in answers:
            first = answer.candidates[0].person_id if answer.candidates else None
            self._decisions.add(collection_id, Action.IDENTIFY, first, match=first is not None)
        if answers:
            if include_attributes:
                answers = await with_attributes(self._repository, collection_id, answers, max_staleness)
            return answers, answers[0].threshold, answers[0].space
        threshold, space = await self._repository.search_defaults(collection_id, max_staleness)
        return [], threshold if max_distance is None else max_distance, space

    async def _identify(
        self, query: Query, probe: AnyProbe, face: ResolvedProbe, probe_index: int
    ) -> Identification | None:
        """Search for a face; None for one of a person that was erased meanwhile."""
        found = await self._decide(query)
        if isinstance(probe, Probe):
            check_space(face.face, probe, found.space)
        if not found.probe_found:
            if isinstance(probe, PersonProbe):
                return None
            raise stored_face_not_found(probe)
        answer = await self._identification(query, found)
        return dataclasses.replace(answer, probe_index=probe_index, box=face.box, quality=face.quality)

    async def _identify_same_person(
        self, query: Query, probes: Sequence[Probe], faces: Sequence[ResolvedProbe]
    ) -> Identification:
        found = await search_same_person(self._repository, self._decide, query, probes, faces)
        answer = await self._identification(query, found)
        return dataclasses.replace(answer, qualities=[face.quality for face in faces])

    async def _identification(self, query: Query, found: SearchResult) -> Identification:
        return Identification(
            probe_index=0,
            box=None,
            candidates=found.candidates,
            matched_persons=found.matched_persons,
            faces=found.faces,
            threshold=found.threshold,
            space=found.space,
            mode=found.mode,
            expected=await self._calibrations.expected_false_positives(
                query.collection_id,
                found.calibration_id,
                threshold=found.threshold,
                faces=found.collection_faces,
                max_staleness=query.max_staleness,
            ),
        )

    async def _decide(self, query: Query) -> SearchResult:
        """Search, for a caller whose tries are counted among few people as by a claim of each."""
        per_day = call.failed_tries_per_day()
        if per_day is not None and query.person_keys and _are_few(query.person_keys):
            return await self._tries.identify(query, per_day)
        return await self._search.decide(query)

    async def _resolve(
        self,
        collection_id: str,
        probes: Sequence[AnyProbe],
        all_faces: bool,
        min_face_pixels: int,
        max_staleness: float | None,
    ) -> list[tuple[int, ResolvedProbe]]:
        """Every face to search for, with its probe's index; the first invalid probe raises its error."""

        async def faces(probe: AnyProbe) -> list[ResolvedProbe]:
            if isinstance(probe, PersonProbe):
                return await faces_of(self._repository, collection_id, probe, max_staleness)
            if all_faces:
                return await every_face(self._encoder, probe, min_face_pixels)
            return [await single_face(self._encoder, probe)]

        found = await gather_or_cancel(map(faces, probes), limit=1 if all_faces else PHOTOS_IN_FLIGHT)
        return [(index, face) for index, every in enumerate(found) for face in every]


def _are_few(person_keys: Sequence[int] | None) -> bool:
    """Whether a search among these people, None for all, is a try against each."""
    return person_keys is not None and len(person_keys) <= MAX_COUNTED_PERSONS
