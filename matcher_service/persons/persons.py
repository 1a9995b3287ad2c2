"""People and their faces: enrolling, reading, erasing."""

import contextlib
import dataclasses
import datetime
import uuid
import weakref

from matcher_service.domain import page_tokens
from matcher_service.domain.content_hash import content_id, request_digest
from matcher_service.domain.errors import (
    ErasureNotFound,
    Overloaded,
    PersonNotFound,
    RequestIdReused,
    StoredFaceNotFound,
)
from matcher_service.domain.faces import (
    Encoder,
    Encoding,
    EnrolledFace,
    Enrollment,
    Erasure,
    Face,
    FaceChange,
    Merge,
    Person,
    Probe,
)
from matcher_service.identification.photos import ResolvedProbe, check_space, no_such_face, single_faces
from matcher_service.persons import enrollment as enrolling
from matcher_service.persons.duplicate_refusal import DuplicateFound, SearchOutdated
from matcher_service.persons.enrollment import FaceVanished, NewFace, Policy, Preview, Replay, RequestIdTaken
from matcher_service.persons.enrollment_policy import EnrollmentPolicy, face_duplicate
from matcher_service.postgres.admission import Gate
from matcher_service.postgres.store import Store

ENROLL_ATTEMPTS = 4
RETRY_SECONDS = 0.1
REFUSING_WAIT_SECONDS = 30.0
REFUSING_AT_ONCE = 3  # a collection's, in a matcher: while one commits, others add their faces


@dataclasses.dataclass(frozen=True)
class Item:
    """One face to add, with the caller's own reference to it."""

    probe: Probe
    external_ref: str = ""


@dataclasses.dataclass(frozen=True)
class EnrollOrder:
    """An enrolment as asked for; no request id is "", no expire time is never.

    `scores` tells whether whoever asks may learn which duplicate is the nearest.
    """

    collection_id: str
    person_id: str
    display_name: str | None
    items: list[Item]
    request_id: str = ""
    expire_time: datetime.datetime | None = None
    scores: bool = True


class Gallery:
    """People and their faces in a store. Every method raises what the store raises."""

    def __init__(self, store: Store, acceptance: EnrollmentPolicy, encoder: Encoder) -> None:
        self._store = store
        self._acceptance = acceptance
        self._encoder = encoder
        self._turns: weakref.WeakValueDictionary[str, Gate] = weakref.WeakValueDictionary()

    async def enroll(self, order: EnrollOrder) -> Enrollment:
        """Add all the faces to the person, or none; create the person when new.

        Raises RequestIdReused, PersonNotFound for a replay whose person was erased, FaceNotFound,
        FaceAmbiguous, ModelMismatch, FaceQuality, FaceDuplicate, PersonFull, and what the encoder raises.
        """
        contents = [
            item.probe.face if isinstance(item.probe.face, uuid.UUID) else await content_id(item.probe.face)
            for item in order.items
        ]
        parts = [
            (item.probe, content, item.external_ref)
            for item, content in zip(order.items, contents, strict=True)
        ]
        digest = request_digest(order.person_id, order.display_name, parts, order.expire_time)
        request = (order.request_id, digest)
        seen: dict[int, ResolvedProbe] = {}
        for _ in range(ENROLL_ATTEMPTS):
            known = await enrolling.preview(
                self._store, order.collection_id, order.person_id, request, contents
            )
            if known.replay is not None:
                return await self._replay(order, known, known.replay)
            try:
                return await self._commit(order, contents, known, request, seen)
            except RequestIdTaken:
                continue  # its answer is there now
            except SearchOutdated:
                continue  # much was enrolled since, or the policy changed
            except DuplicateFound as found:
                await self._acceptance.note_refusal(order.collection_id, order.items[found.place].probe)
                raise face_duplicate(order.items[found.place].probe, found.person_id) from None
            except FaceVanished as vanished:
                probe = order.items[vanished.place].probe
                if isinstance(probe.face, uuid.UUID):
                    raise no_such_face(probe) from None
                # The face was the person's when looked up and is not any more: it is added now.
        raise Overloaded(
            "the person or the collection kept changing; try again in a moment",
            retry_after_seconds=RETRY_SECONDS,
        )

    async def _commit(
        self,
        order: EnrollOrder,
        contents: list[uuid.UUID],
        known: Preview,
        request: tuple[str, bytes],
        seen: dict[int, ResolvedProbe],
    ) -> Enrollment:
        """Encode the photos that are new and not in `seen` yet, and store what there is to store."""
        new = [place for place, content in enumerate(contents) if content not in known.known_content_ids]
        unseen = [place for place in new if place not in seen]
        looked_at = await single_faces(self._encoder, [order.items[place].probe for place in unseen])
        seen.update(zip(unseen, looked_at, strict=True))
        for place in new:
            check_space(seen[place].face, order.items[place].probe, known.space)
            self._acceptance.check_quality(seen[place], order.items[place].probe, known.policy)
        checks = {
            place: await self._acceptance.check_duplicates(
                order.collection_id,
                order.person_id,
                seen[place].face,
                order.items[place].probe,
                known.policy,
                scores=order.scores,
            )
            for place in new
        }
        faces = []
        for place, item in enumerate(order.items):
            face = seen[place].face if place in checks else None
            source_id = face if isinstance(face, uuid.UUID) else None
            encoding = face if isinstance(face, Encoding) else None
            content = contents[place] if source_id is None else None
            faces.append(NewFace(content, encoding, source_id, item.external_ref))
        async with self._turn(order.collection_id, known.policy):
            enrollment = await enrolling.commit(
                self._store,
                order.collection_id,
                order.person_id,
                display_name=order.display_name,
                known=known,
                faces=faces,
                expire_time=order.expire_time,
                request=request,
            )
        enrolled = [
            face
            if face.already_enrolled
            else dataclasses.replace(
                face, duplicates=checks.get(place), quality=seen[place].quality if place in seen else None
            )
            for place, face in enumerate(enrollment.faces)
        ]
        return dataclasses.replace(enrollment, faces=enrolled)

    def _turn(self, collection_id: str, policy: Policy) -> contextlib.AbstractAsyncContextManager[None]:
        """Where duplicates are refused, few transactions at a time: they commit one by one, and those that
        wait for that would each hold a connection.
        """
        if policy.duplicates != "refuse":
            return contextlib.nullcontext()
        gate = Gate(REFUSING_AT_ONCE, wait_seconds=REFUSING_WAIT_SECONDS, kind="enroll")
        return self._turns.setdefault(collection_id, gate).permit()

    async def _replay(self, order: EnrollOrder, known: Preview, replay: Replay) -> Enrollment:
        """Answer as the first call with this request id was answered."""
        if replay.person_stands and not replay.same_content:
            raise RequestIdReused(
                "this request id was used for another enrolment: take a new one", field="request_id"
            )
        person = await self._store.get_person(order.collection_id, order.person_id)
        if person is None or not replay.person_stands:
            raise PersonNotFound(
                "an enrolment of this request id was made and its person erased or merged since; a replay "
                "does not bring them back: take a new request id to enroll anybody",
                field="request_id",
            )
        faces = [
            EnrolledFace(
                Face(
                    face_id=face.face_id,
                    person_id=order.person_id,
                    external_ref=item.external_ref if face.external_ref is None else face.external_ref,
                    space=known.space,
                    fingerprint=face.fingerprint,
                    create_time=face.create_time,
                    expire_time=order.expire_time
                    if face.external_ref is None and not face.already_enrolled
                    else face.expire_time,
                ),
                face.already_enrolled,
                None
                if face.already_enrolled
                else await self._acceptance.find_duplicates(
                    order.collection_id,
                    order.person_id,
                    face.face_id,
                    item.probe,
                    known.policy,
                    scores=order.scores,
                ),
            )
            for item, face in zip(order.items, replay.faces, strict=True)
        ]
        return Enrollment(person, replay.person_created, faces)

    async def get_person(self, collection_id: str, person_id: str) -> Person:
        """Read one person. Raises PersonNotFound."""
        return _known(await self._store.get_person(collection_id, person_id))

    async def list_persons(
        self, collection_id: str, prefix: str, page_size: int, page_token: str
    ) -> tuple[list[Person], str]:
        """Read a page of people whose ids begin with `prefix`, by code points, and the next page's token.

        Raises OptionInvalid for a token of another list.
        """
        after = page_tokens.read_person(page_token, collection_id, prefix)
        persons = await self._store.list_persons(collection_id, prefix, after, page_size + 1)
        more = len(persons) > page_size
        persons = persons[:page_size]
        return persons, page_tokens.person_token(collection_id, persons[-1], prefix) if more else ""

    async def update_person(self, collection_id: str, person_id: str, display_name: str) -> Person:
        """Replace a person's display name. Raises PersonNotFound."""
        return _known(await self._store.update_person(collection_id, person_id, display_name))

    async def merge_persons(self, collection_id: str, source_id: str, target_id: str) -> Merge:
        """Give all faces of the source to the target and erase the source.

        Raises PersonNotFound, PersonFull.
        """
        merged = await self._store.merge_persons(collection_id, source_id, target_id)
        if isinstance(merged, str):
            field = "source_person_id" if merged == source_id else "target_person_id"
            raise PersonNotFound("the collection has nobody of this id", field=field)
        return merged

    async def delete_person(self, collection_id: str, person_id: str) -> Erasure:
        """Erase a person and every face of theirs; nobody of that id counts 0."""
        return await self._store.delete_person(collection_id, person_id)

    async def list_faces(
        self, collection_id: str, person_id: str, page_size: int, page_token: str
    ) -> tuple[list[Face], str]:
        """Read a page of a person's faces, oldest first, and the next page's token.

        Raises PersonNotFound, OptionInvalid for a token of another list.
        """
        after = page_tokens.read_face(page_token, collection_id, person_id)
        faces = await self._store.list_faces(collection_id, person_id, after, page_size + 1)
        if faces is None:
            raise PersonNotFound("the collection has nobody of this id", field="person_id")
        more = len(faces) > page_size
        faces = faces[:page_size]
        return faces, page_tokens.face_token(collection_id, faces[-1]) if more else ""

    async def get_face(self, collection_id: str, face_id: uuid.UUID) -> Face:
        """Read one face. Raises StoredFaceNotFound."""
        return _known_face(await self._store.get_face(collection_id, face_id))

    async def update_face(self, collection_id: str, face_id: uuid.UUID, change: FaceChange) -> Face:
        """Change one face and read it. Raises StoredFaceNotFound, Overloaded."""
        if not await self._store.update_face(collection_id, face_id, change):
            return _known_face(None)
        return await self.get_face(collection_id, face_id)

    async def delete_face(self, collection_id: str, face_id: uuid.UUID) -> Erasure:
        """Erase one face; none of that id counts 0."""
        return await self._store.delete_face(collection_id, face_id)

    async def get_erasure(self, collection_id: str, erasure_id: uuid.UUID) -> Erasure:
        """Say what has become of an erasure. Raises ErasureNotFound."""
        erasure = await self._store.get_erasure(collection_id, erasure_id)
        if erasure is None:
            raise ErasureNotFound("the collection has no erasure of this id", field="erasure_id")
        return erasure


def _known_face(face: Face | None) -> Face:
    if face is None:
        raise StoredFaceNotFound("the collection has no face of this id", field="face_id")
    return face


def _known(person: Person | None) -> Person:
    if person is None:
        raise PersonNotFound("the collection has nobody of this id", field="person_id")
    return person
