"""Lists faces that are nearer to somebody else's than to their person's others; what corrects each."""

import dataclasses
import enum
import time
import uuid

from facerec.serving.middleware import call
from matcher_service.domain import page_tokens
from matcher_service.domain.errors import PersonNotFound
from matcher_service.domain.page_tokens import InconsistentFaceList
from matcher_service.duplicates.review import LAST_KEY, PAGE_SECONDS, STATEMENT_DISTANCES
from matcher_service.postgres.database import Database, Row, Session
from matcher_service.postgres.driver_errors import retried_on_schema_change

MAX_FACES = 200  # of one exact statement
INDEX_FACES = 50  # of one statement by the index, which queries it twice for each
FIRST_FACES = 10  # of a page's first statement; each further one has twice as many


class Suggestion(enum.Enum):
    """What probably corrects an inconsistent face; the contract's CorrectionSuggestion."""

    MOVE_FACE = "move_face"
    MOVE_OTHER_FACE = "move_other_face"
    MERGE_PERSONS = "merge_persons"
    REVIEW = "review"


@dataclasses.dataclass(frozen=True)
class InconsistentFace:
    """A face, the nearest of its person's others, and the nearest of anybody else's, which is nearer."""

    face_id: uuid.UUID
    person_id: str
    own_face_id: uuid.UUID
    own_distance: float
    other_person_id: str
    other_face_id: uuid.UUID
    other_distance: float
    suggestion: Suggestion


@dataclasses.dataclass(frozen=True)
class Likeness:
    """How many other faces a face's person has, and how many of them are near enough to be of one human."""

    faces: int
    within: int

    @property
    def unlike(self) -> bool:
        """Whether the face is near to fewer than half of them."""
        return 2 * self.within < self.faces

    @property
    def like(self) -> bool:
        """Whether the face is near to more than half of them."""
        return 2 * self.within > self.faces


@dataclasses.dataclass(frozen=True)
class FacesPage:
    """The next inconsistent faces, and the number of faces that are done."""

    faces: list[InconsistentFace]
    examined: int
    exact: bool
    token: str


class ConsistencyReviewer:
    """Compares faces with their person's others and with everybody's, on connections of the scan pool."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @retried_on_schema_change
    async def list(
        self,
        listed: InconsistentFaceList,
        page_size: int,
        page_token: str,
        *,
        max_staleness: float | None = None,
    ) -> FacesPage:
        """List faces from the token on, until the page is full or PAGE_SECONDS are over.

        `max_staleness` is as in `Database.review_session`. Raises PersonNotFound, CollectionNotFound,
        StoreUnavailable, Overloaded, OptionInvalid for a token of another list.
        """
        cursor = page_tokens.read_inconsistent_face(page_token, listed)
        ends = time.monotonic() + min(PAGE_SECONDS, call.remaining_seconds(2 * PAGE_SECONDS) / 2)
        found: list[InconsistentFace] = []
        async with (
            self._database.review_session(listed.collection_id, max_staleness=max_staleness) as session,
            session.transaction(),
        ):
            settings = await session.required_row("begin_review", max_distance=listed.max_distance)
            person = await session.required_row("get_reviewed_person", person_id=listed.person_id)
            if listed.person_id and person["person_key"] is None:
                raise PersonNotFound("the collection has no person with this id", field="person_id")
            review = _Review(session, settings, person, cursor)
            while len(found) < page_size and (time.monotonic() < ends or not review.examined):
                found += await review.step(page_size - len(found))
                if review.over:
                    break
        token = "" if review.over else page_tokens.inconsistent_face_token(listed, *review.cursor)
        return FacesPage(found, review.examined, review.exact, token)


class _Review:
    """One page of inconsistent faces, in the order of persons' keys and face ids, on one connection.

    `cursor` is the last face that is done.
    """

    def __init__(self, session: Session, settings: Row, person: Row, cursor: tuple[int, uuid.UUID]) -> None:
        self._session = session
        self._max_distance = settings["max_distance"]
        self._near_distance = max(settings["max_distance"], person["verify_threshold"])
        self._person_key = person["person_key"]
        self.exact = not settings["indexed"]
        most = STATEMENT_DISTANCES // max(1, settings["faces"])
        self._max_faces = max(1, min(MAX_FACES, most)) if self.exact else INDEX_FACES
        self._size = min(FIRST_FACES, self._max_faces)
        self.cursor = cursor
        self.examined = 0
        self.over = False

    async def step(self, most: int) -> list[InconsistentFace]:
        """Examine the next faces; returns at most `most` that are inconsistent, or none."""
        first, last = (self.cursor[0], LAST_KEY) if self._person_key is None else [self._person_key] * 2
        picked = await self._session.rows(
            "pick_faces",
            first_key=first,
            last_key=last,
            after_face_id=self.cursor[1],
            max_faces=self._size,
        )
        self.over = len(picked) < self._size
        self._size = min(2 * self._size, self._max_faces)
        if not picked:
            return []
        face_ids = [row["face_id"] for row in picked]
        rows = await self._session.rows(
            "check_exactly" if self.exact else "check_by_index",
            face_ids=face_ids,
            max_distance=self._max_distance,
            near_distance=self._near_distance,
        )
        end = picked[-1]
        if len(rows) > most:
            rows, self.over = rows[:most], False
            end = rows[-1]
        self.cursor = end["person_key"], end["face_id"]
        self.examined += face_ids.index(end["face_id"]) + 1
        return [self._face(row) for row in rows]

    def _face(self, row: Row) -> InconsistentFace:
        return InconsistentFace(
            face_id=row["face_id"],
            person_id=row["person_id"],
            own_face_id=row["own_face_id"],
            own_distance=row["own_distance"],
            other_person_id=row["other_person_id"],
            other_face_id=row["other_face_id"],
            other_distance=row["other_distance"],
            suggestion=suggest(
                row["own_distance"],
                Likeness(row["own_faces"], row["own_within"]),
                Likeness(row["other_faces"], row["other_within"]),
                max_distance=self._max_distance,
            ),
        )


def suggest(own_distance: float, own: Likeness, other: Likeness, *, max_distance: float) -> Suggestion:
    """What probably corrects an inconsistent face.

    A photo of somebody else is unlike most of its person's others. If only one of the two faces is, that one
    is under a wrong id. Faces of a human under two ids are like the others of each. How often this is right
    is in docs/measurements/2026-11-consistency.md.

    Args:
        own_distance: From the face to the nearest of its person's other faces.
        own: How far it is like these.
        other: How far the other person's face is like that person's others.
        max_distance: Within which the two faces are.
    """
    if own.unlike != other.unlike:
        return Suggestion.MOVE_FACE if own.unlike else Suggestion.MOVE_OTHER_FACE
    if own.like and not other.unlike and own_distance <= max_distance:
        return Suggestion.MERGE_PERSONS
    return Suggestion.REVIEW
