"""Enrolls people: encodes photos, checks the collection's policy, then stores all faces or none."""

import contextlib
import dataclasses
import datetime
import uuid
import weakref

from facerec.quality import Quality
from matcher_service.admission import FairSemaphore
from matcher_service.domain.attributes import AttributeChange
from matcher_service.domain.concurrency import gather_or_cancel
from matcher_service.domain.content_hash import content_digest, content_id
from matcher_service.domain.errors import Overloaded, PersonNotFound, RequestIdReused
from matcher_service.domain.faces import (
    Encoder,
    Encoding,
    EnrolledFace,
    Enrollment,
    Face,
    PersonChange,
    Photo,
    Probe,
)
from matcher_service.identification.photos import (
    ResolvedProbe,
    check_space,
    single_faces,
    stored_face_not_found,
)
from matcher_service.identification.search import SEARCHES_IN_FLIGHT
from matcher_service.persons import enrollment_repository as stored
from matcher_service.persons.duplicate_refusal import DuplicateFound
from matcher_service.persons.enrollment_checks import EnrollmentChecks, face_duplicate
from matcher_service.persons.enrollment_repository import FaceVanished, NewFace, RequestIdTaken
from matcher_service.persons.preview import Policy, Preview, Replay, SearchOutdated
from matcher_service.persons.repository import PersonRepository

ENROLL_ATTEMPTS = 4
RETRY_SECONDS = 0.1
REFUSING_WAIT_SECONDS = 30.0
REFUSING_AT_ONCE = 3  # per collection and matcher: while one commits, others add their faces


@dataclasses.dataclass(frozen=True)
class Item:
    """One face to add, with the caller's own reference to it."""

    probe: Probe
    external_ref: str = ""


@dataclasses.dataclass(frozen=True)
class EnrollmentRequest:
    """A request to enroll; a `request_id` of "" is none, an `expire_time` of None never.

    `scores` is whether the caller may learn which duplicate is the nearest.
    """

    collection_id: str
    person_id: str
    display_name: str | None
    items: list[Item]
    request_id: str = ""
    expire_time: datetime.datetime | None = None
    scores: bool = True
    attributes: AttributeChange = dataclasses.field(default_factory=AttributeChange)


class Enroller:
    """Enrolls people. Also raises what PersonRepository raises."""

    def __init__(self, repository: PersonRepository, checks: EnrollmentChecks, encoder: Encoder) -> None:
        self._repository = repository
        self._checks = checks
        self._encoder = encoder
        self._semaphores: weakref.WeakValueDictionary[str, FairSemaphore] = weakref.WeakValueDictionary()

    async def enroll(self, request: EnrollmentRequest) -> Enrollment:
        """Add all the faces to the person, or none; create the person if new.

        Raises RequestIdReused, PersonNotFound for a replay whose person was erased, FaceNotFound,
        FaceAmbiguous, ModelMismatch, FaceQuality, FaceDuplicate, FaceInconsistent, PersonFull, and what the
        encoder raises.
        """
        contents = [
            item.probe.face if isinstance(item.probe.face, uuid.UUID) else await content_id(item.probe.face)
            for item in request.items
        ]
        parts = [
            (item.probe, content, item.external_ref)
            for item, content in zip(request.items, contents, strict=True)
        ]
        digest = content_digest(
            request.person_id, request.display_name, parts, request.expire_time, request.attributes
        )
        request_key = (request.request_id, digest)
        resolved: dict[int, ResolvedProbe] = {}
        for _ in range(ENROLL_ATTEMPTS):
            previewed = await stored.preview(
                self._repository, request.collection_id, request.person_id, request_key, contents
            )
            if previewed.replay is not None:
                return await self._replay(request, previewed, previewed.replay)
            try:
                return await self._commit(request, contents, previewed, request_key, resolved)
            except RequestIdTaken:
                continue  # the other call's answer is stored now
            except SearchOutdated:
                continue  # much was enrolled since, or the policy changed
            except DuplicateFound as found:
                await self._checks.count_refusal(request.collection_id, request.items[found.index].probe)
                raise face_duplicate(request.items[found.index].probe, found.person_id) from None
            except FaceVanished as vanished:
                probe = request.items[vanished.index].probe
                if isinstance(probe.face, uuid.UUID):
                    raise stored_face_not_found(probe) from None
                # The person had the face at the preview and has it no longer: the next attempt adds it.
        raise Overloaded(
            "the person or the collection changed during each attempt to enroll; retry later",
            retry_after_seconds=RETRY_SECONDS,
        )

    async def _commit(
        self,
        request: EnrollmentRequest,
        contents: list[uuid.UUID],
        previewed: Preview,
        request_key: tuple[str, bytes],
        resolved: dict[int, ResolvedProbe],
    ) -> Enrollment:
        """Encode the new photos that are not in `resolved` yet, and store the enrollment."""
        new = [index for index, content in enumerate(contents) if content not in previewed.known_content_ids]
        unresolved = [index for index in new if index not in resolved]
        found = await single_faces(self._encoder, [request.items[index].probe for index in unresolved])
        resolved.update(zip(unresolved, found, strict=True))
        for index in new:
            check_space(resolved[index].face, request.items[index].probe, previewed.space)
            self._checks.check_quality(resolved[index], request.items[index].probe, previewed.policy)
        searches = (
            self._checks.check_others(
                request.collection_id,
                request.person_id,
                resolved[index].face,
                request.items[index].probe,
                previewed.policy,
                scores=request.scores,
            )
            for index in new
        )
        checks = dict(zip(new, await gather_or_cancel(searches, limit=SEARCHES_IN_FLIGHT), strict=True))
        faces = []
        for index, item in enumerate(request.items):
            face = resolved[index].face if index in checks else None
            source_id = face if isinstance(face, uuid.UUID) else None
            encoding = face if isinstance(face, Encoding) else None
            content = contents[index] if source_id is None else None
            quality = resolved[index].quality if index in checks else None
            check = checks.get(index)
            distance = check.other.distance if check and check.other else None
            faces.append(NewFace(content, encoding, source_id, item.external_ref, quality, distance))
        async with self._slot(request.collection_id, previewed.policy):
            enrollment = await stored.commit(
                self._repository,
                request.collection_id,
                request.person_id,
                change=PersonChange(request.display_name, request.attributes),
                previewed=previewed,
                faces=faces,
                expire_time=request.expire_time,
                request=request_key,
                scores=request.scores,
            )
        enrolled = [
            face
            if face.already_enrolled
            else dataclasses.replace(
                face,
                others=self._checks.answered(checks.get(index), request.items[index].probe, previewed.policy),
                quality=_of_photo(request.items[index], face.face.quality),
            )
            for index, face in enumerate(enrollment.faces)
        ]
        return dataclasses.replace(enrollment, faces=enrolled)

    def _slot(self, collection_id: str, policy: Policy) -> contextlib.AbstractAsyncContextManager[None]:
        """A permit for the transaction if it may refuse faces for those of others: these commit one by one,
        and waiting ones would each hold a connection.
        """
        if not policy.refuses:
            return contextlib.nullcontext()
        semaphore = FairSemaphore(REFUSING_AT_ONCE, wait_seconds=REFUSING_WAIT_SECONDS, kind="enroll")
        return self._semaphores.setdefault(collection_id, semaphore).permit()

    async def _replay(self, request: EnrollmentRequest, previewed: Preview, replay: Replay) -> Enrollment:
        """Answer as the first call with this request id."""
        if replay.person_exists and not replay.same_content:
            raise RequestIdReused(
                "this request id was used for another enrollment: send a new one", field="request_id"
            )
        person = await self._repository.get_person(request.collection_id, request.person_id)
        if person is None or replay.renamed or not replay.person_exists:
            raise PersonNotFound(
                "the person enrolled with this request id was erased, merged or renamed since, and repeating "
                "the request does not restore them: send a new request id to enroll them again",
                field="request_id",
            )
        faces = [
            EnrolledFace(
                Face(
                    face_id=face.face_id,
                    person_id=request.person_id,
                    external_ref=item.external_ref if face.external_ref is None else face.external_ref,
                    space=previewed.space,
                    fingerprint=face.fingerprint,
                    create_time=face.create_time,
                    expire_time=request.expire_time
                    if face.external_ref is None and not face.already_enrolled
                    else face.expire_time,
                    quality=face.quality,
                ),
                face.already_enrolled,
                None
                if face.already_enrolled
                else self._checks.answered(
                    await self._checks.find_others(
                        request.collection_id,
                        request.person_id,
                        face.face_id,
                        item.probe,
                        previewed.policy,
                        scores=request.scores,
                        without=[replayed.face_id for replayed in replay.faces],
                    ),
                    item.probe,
                    previewed.policy,
                ),
                None if face.already_enrolled else _of_photo(item, face.quality),
            )
            for item, face in zip(request.items, replay.faces, strict=True)
        ]
        return Enrollment(person, replay.person_created, faces)


def _of_photo(item: Item, quality: Quality | None) -> Quality | None:
    """The quality of an item's face if it was given as a photo: that of a copy is its source's."""
    return quality if isinstance(item.probe.face, Photo) else None
