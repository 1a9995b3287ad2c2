"""The statements of an enrollment: a preview, then one transaction."""

import dataclasses
import datetime
import uuid

from facerec.quality import Quality
from matcher_service.audit.changes import Action, Change, append_event
from matcher_service.domain.attributes import Attributes, check_count
from matcher_service.domain.errors import PersonFull
from matcher_service.domain.faces import Encoding, EnrolledFace, Enrollment, Face, Person, PersonChange
from matcher_service.persons.duplicate_refusal import AddedFace, check_added
from matcher_service.persons.preview import Policy, Preview, Replay, ReplayedFace
from matcher_service.persons.repository import PersonRepository, delete_expired
from matcher_service.persons.rows import changed_fields, expire_time_of
from matcher_service.postgres.database import Row, Session
from matcher_service.postgres.driver_errors import retried_on_schema_change
from matcher_service.postgres.qualities import quality_bytes, read_quality
from matcher_service.postgres.vectors import vector_wire


@dataclasses.dataclass(frozen=True)
class NewFace:
    """One item ready to be stored: an encoding, or the id of a stored face to copy.

    A photo known before the transaction has neither: `content_id` then finds the existing face.
    `quality` is of a photo's face; a copy gets its source's. `other_distance` is to the other person whom
    the search found, None for nobody.
    """

    content_id: uuid.UUID | None
    encoding: Encoding | None
    source_id: uuid.UUID | None
    external_ref: str
    quality: Quality | None = None
    other_distance: float | None = None


class RequestIdTaken(Exception):
    """A concurrent call committed the same request id; nothing of this one was stored."""


class FaceVanished(Exception):
    """The item at `index` needs a face that no longer exists; nothing of the call was stored."""

    def __init__(self, index: int) -> None:
        super().__init__(index)
        self.index = index


@retried_on_schema_change
async def preview(
    repository: PersonRepository,
    collection_id: str,
    person_id: str,
    request: tuple[str, bytes],
    content_ids: list[uuid.UUID],
) -> Preview:
    """Look up the space, the policy, an earlier answer and the person's photos. `request` is as for `commit`.

    Raises CollectionNotFound, StoreUnavailable, Overloaded.
    """
    request_id, content_digest = request
    async with repository.database.session(collection_id) as session:
        row = await session.required_row(
            "preview_enroll",
            person_id=person_id,
            request_id=request_id,
            content_ids=content_ids,
            content_digest=content_digest,
        )
    replay = None
    if row["replayed"]:
        columns = ("face_ids", "already_enrolled", "fingerprints", "external_refs", "face_times")
        read = (map(expire_time_of, row["expire_times"]), map(read_quality, row["qualities"]))
        rows = zip(*(row[name] for name in columns), *read, strict=True)
        faces = [ReplayedFace(*values) for values in rows]
        replay = Replay(
            bool(row["same_content"]),
            row["person_exists"],
            bool(row["renamed"]),
            row["person_created"],
            faces,
        )
    policy = Policy(
        row["duplicate_policy"],
        row["duplicate_threshold"],
        row["min_face_pixels"],
        frozenset(row["refused_qualities"]),
        row["consistency_policy"],
    )
    return Preview(
        row["space"], policy, replay, frozenset(row["known_content_ids"]), row["enrollment_version"]
    )


@retried_on_schema_change
async def commit(
    repository: PersonRepository,
    collection_id: str,
    person_id: str,
    *,
    change: PersonChange,
    previewed: Preview,
    faces: list[NewFace],
    expire_time: datetime.datetime | None,
    request: tuple[str, bytes],
    scores: bool,
) -> Enrollment:
    """Store all the faces, or none. `request` is an id, "" for none, and its content's digest.

    `previewed` and `scores` are those of the search of other persons. Raises RequestIdTaken, FaceVanished,
    SearchOutdated, DuplicateFound, PersonFull, OptionInvalid, CollectionNotFound, StoreUnavailable,
    Overloaded.
    """
    async with repository.database.transaction(collection_id) as session:
        created = await _lock(session, person_id, previewed, faces)
        rows = await _add_faces(
            session,
            person_id,
            previewed=previewed,
            faces=faces,
            change=change,
            expire_time=expire_time,
        )
        new = [
            AddedFace(row["face_id"], index, face.other_distance)
            for index, (row, face) in enumerate(zip(rows, faces, strict=True))
            if not row["already_enrolled"]
        ]
        if new and rows[0]["faces"] > repository.max_faces_per_person:
            raise PersonFull(repository.max_faces_per_person, field="person_id")
        await _append_events(session, rows[0], created=created, added=len(new))
        if request[0]:
            await _add_request(session, request, rows, created=created)
        if new and previewed.policy.refuses:
            await check_added(
                session,
                person_id,
                new,
                previewed.policy,
                enrollment_version=previewed.enrollment_version,
                scores=scores,
            )
    return _enrollment(rows, person_id, previewed.space, created)


async def _lock(session: Session, person_id: str, previewed: Preview, faces: list[NewFace]) -> bool:
    """Lock the person, creating it if new; returns whether it was created."""
    fingerprints = _fingerprints(faces)
    created = await session.row(
        "lock_enrolled_person", person_id=person_id, space=previewed.space, fingerprints=fingerprints
    )
    if created is None:
        await delete_expired(session, [person_id])
    return created is not None


async def _add_faces(
    session: Session,
    person_id: str,
    *,
    previewed: Preview,
    faces: list[NewFace],
    change: PersonChange,
    expire_time: datetime.datetime | None,
) -> list[Row]:
    """Add the faces; returns a row for each item, in order.

    Raises SearchOutdated, FaceVanished, OptionInvalid for too many labels.
    """
    rows = await session.rows(
        "add_faces",
        person_id=person_id,
        display_name=change.display_name,
        **change.attributes.values,
        content_ids=[face.content_id for face in faces],
        encodings=[vector_wire(face.encoding.values) if face.encoding else None for face in faces],
        fingerprints=_fingerprints(faces),
        qualities=[quality_bytes(face.quality) if face.quality else None for face in faces],
        source_ids=[face.source_id for face in faces],
        external_refs=[face.external_ref for face in faces],
        space=previewed.space,
        expire_time=expire_time,
    )
    current = (rows[0][name] for name in ("duplicate_policy", "duplicate_threshold", "consistency_policy"))
    previewed.policy.check_current(*current)
    for index, row in enumerate(rows):
        if row["face_id"] is None:
            raise FaceVanished(index)
    check_count(len(Attributes.of(rows[0]["labels"], rows[0]["metadata"]).labels), "labels")
    return rows


async def _append_events(session: Session, person: Row, *, created: bool, added: int) -> None:
    if added or created:
        change = Change(Action.ENROLL, person["person_tag"], persons=1, faces=added)
        await append_event(session, change)
    changed = changed_fields(person)
    if changed and not created:
        details = {"changed": changed}
        await append_event(session, Change(Action.UPDATE_PERSON, person["person_tag"], 1, details=details))


async def _add_request(
    session: Session, request: tuple[str, bytes], rows: list[Row], *, created: bool
) -> None:
    """Store the answer of the request id. Raises RequestIdTaken."""
    stored = await session.row(
        "add_enroll_request",
        request_id=request[0],
        content_digest=request[1],
        person_key=rows[0]["person_key"],
        person_created=created,
        face_ids=[row["face_id"] for row in rows],
        already_enrolled=[row["already_enrolled"] for row in rows],
        model_keys=[row["model_key"] for row in rows],
        face_times=[row["face_time"] for row in rows],
    )
    if stored is None:
        raise RequestIdTaken


def _fingerprints(faces: list[NewFace]) -> list[str | None]:
    return [face.encoding.fingerprint if face.encoding else None for face in faces]


def _enrollment(rows: list[Row], person_id: str, space: str, created: bool) -> Enrollment:
    last = rows[0]
    person = Person(
        person_id,
        last["display_name"],
        last["faces"],
        last["create_time"],
        last["update_time"],
        Attributes.of(last["labels"], last["metadata"]),
        last["suspended"],
    )
    faces = [
        EnrolledFace(
            Face(
                face_id=row["face_id"],
                person_id=person_id,
                external_ref=row["external_ref"],
                space=space,
                fingerprint=row["fingerprint"],
                create_time=row["face_time"],
                expire_time=expire_time_of(row["expire_time"]),
                quality=read_quality(row["quality"]),
            ),
            row["already_enrolled"],
        )
        for row in rows
    ]
    return Enrollment(person, created, faces)
