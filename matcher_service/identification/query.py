"""Queries of searches and comparisons, and their results."""

import dataclasses
import uuid
from collections.abc import Sequence
from typing import Any

import numpy as np

from facerec.contract import DIMENSIONS
from matcher_service.domain.faces import Candidate, Encoding, ScoreRule, SearchMode
from matcher_service.postgres.database import Row
from matcher_service.postgres.vectors import vector_wire, vectors_wire

_NO_VECTOR = np.zeros(DIMENSIONS, np.float32)
COUNTED_PERSONS = 101  # one more than a response can have


@dataclasses.dataclass(frozen=True)
class Query:
    """A face to search for. `max_distance` None means the collection's identify threshold.

    Without `scores` the caller may learn of a distance only whether it is within the threshold: candidates
    are ordered by their ids, and the work done does not depend on their distances. `max_staleness` is as in
    `Database.index_session`.

    With `person_keys` only the faces of these people are searched; with a `labels_path` (PersonFilter.path)
    only people whose labels it selects are candidates. Suspended people are none, unless `with_suspended`,
    and neither is the person of `left_out_key`, one of whose faces this is: then the result has all
    candidates that are counted, and not `max_candidates`. A failed try among few people counts
    `photos` times.
    """

    collection_id: str
    face: Encoding | uuid.UUID
    max_distance: float | None
    max_candidates: int
    exact_only: bool = False
    scores: bool = True
    person_keys: Sequence[int] | None = None
    labels_path: str | None = None
    max_staleness: float | None = None
    with_suspended: bool = False
    left_out_key: int | None = None
    photos: int = 1

    @property
    def max_rows(self) -> int:
        """How many candidates the result has at most."""
        return self.max_candidates if self.left_out_key is None else COUNTED_PERSONS

    @property
    def space(self) -> str | None:
        """The space of the face's vector; None for a stored face, which is of the collection's."""
        return space_of(self.face)


@dataclasses.dataclass(frozen=True)
class SearchResult:
    """The result of a search. `faces` is the number of faces compared, `matched_persons` the number of
    persons within the threshold, among those the index proposed or among all, up to COUNTED_PERSONS.

    `collection_faces` is the estimated size of the collection, if a calibration is applied.
    """

    space: str
    threshold: float
    probe_found: bool
    mode: SearchMode
    faces: int
    candidates: list[Candidate]
    matched_persons: int
    calibration_id: uuid.UUID | None = None
    collection_faces: int = 0


@dataclasses.dataclass(frozen=True)
class QueryResult:
    """The result of one query. `search` is what was done: index, scan, none, or scan_needed: nothing yet.

    `accepted` means that a scan decided, or that the index result's nearest candidate is within the
    acceptance threshold; `truncated`, that so many of the persons or centers that the indexes proposed are
    within the threshold that there may be more.
    """

    search: str
    accepted: bool
    found: SearchResult
    truncated: bool = False


@dataclasses.dataclass(frozen=True)
class CountedTry:
    """Whose failed tries are counted, and how; `max_distance` None means the collection's verify threshold.

    The tries are a token bucket, stored as the time when it is full again: a try moves that time by
    `try_seconds`, and one is left while it is at most `max_missing_seconds` from now. A match costs
    `match_tries`, a failure `failure_tries`.
    """

    caller: str
    max_distance: float | None
    try_seconds: float
    max_missing_seconds: float
    match_tries: float
    failure_tries: float = 1.0


@dataclasses.dataclass(frozen=True)
class VerifyResult:
    """The result of the verify statement; `face_id` and `distance` are None without a face or a probe, and if
    the person is suspended.

    `distance` is by the collection's `rule`.

    `wait_seconds` is not 0 if no failed try is left; then nothing else of it may be answered.
    """

    space: str
    threshold: float
    person_found: bool
    probe_found: bool
    faces: int
    face_id: uuid.UUID | None
    distance: float | None
    rule: ScoreRule
    wait_seconds: float = 0.0
    suspended: bool = False


@dataclasses.dataclass(frozen=True)
class CompareResult:
    """The result of the compare statement."""

    space: str
    threshold: float
    a_found: bool
    b_found: bool
    distance: float | None


@dataclasses.dataclass(frozen=True)
class ComparedSide:
    """What was read of a side of a comparison; `face_id` is the nearest of the `faces` that were compared."""

    person_found: bool
    faces: int
    face_id: uuid.UUID | None


@dataclasses.dataclass(frozen=True)
class PersonsCompareResult:
    """The result of the statement that compares persons; `distance` is None if a side has no face."""

    space: str
    threshold: float
    a: ComparedSide
    b: ComparedSide
    distance: float | None


def space_of(face: Encoding | uuid.UUID) -> str | None:
    """The space of a vector; None for a stored face, which is of the collection's."""
    return face.space if isinstance(face, Encoding) else None


def face_values(face: Encoding | uuid.UUID, suffix: str = "") -> dict[str, Any]:
    """A face as two parameters of a statement, encoding and face_id with a suffix; one of them is None."""
    if isinstance(face, uuid.UUID):
        return {f"encoding{suffix}": None, f"face_id{suffix}": face}
    return {f"encoding{suffix}": vector_wire(face.values), f"face_id{suffix}": None}


def faces_values(faces: Sequence[Encoding | uuid.UUID], suffix: str = "") -> dict[str, Any]:
    """Several faces as two parameters of a statement, with a suffix: `encodings`, their vectors concatenated,
    with zeros for stored faces, and `face_ids`, with None for vectors.
    """
    return {
        f"encodings{suffix}": vectors_wire(
            [face.values if isinstance(face, Encoding) else _NO_VECTOR for face in faces]
        ),
        f"face_ids{suffix}": [face if isinstance(face, uuid.UUID) else None for face in faces],
    }


def query_result(row: Row, persons: list[Candidate]) -> QueryResult:
    """Build a result from the first row of `identify` and the candidates."""
    return QueryResult(
        row["search"],
        row["accepted"],
        SearchResult(
            space=row["space"],
            threshold=row["threshold"],
            probe_found=row["probe_found"],
            mode=SearchMode.INDEX if row["search"] == "index" else SearchMode.EXACT,
            faces=row["faces"],
            candidates=persons,
            matched_persons=row["matched_persons"],
            calibration_id=row["calibration_id"],
            collection_faces=row["collection_faces"] or 0,
        ),
        row["truncated"],
    )


def counted_result(query: Query, rows: Sequence[Row]) -> SearchResult:
    """Build a result from the rows of `identify_counted`; one has no person if nobody was compared."""
    compared = [row for row in rows if row["distance"] is not None]
    within = sorted(
        (row for row in compared if row["distance"] <= row["threshold"]),
        key=lambda row: (row["distance"] if query.scores else 0.0, row["person_id"]),
    )
    faces = sum(row["faces"] for row in compared)
    return SearchResult(
        space=rows[0]["space"],
        threshold=rows[0]["threshold"],
        probe_found=rows[0]["probe_found"],
        mode=SearchMode.EXACT,
        faces=faces,
        candidates=candidates(within[: query.max_rows]),
        matched_persons=len(within),
        calibration_id=rows[0]["calibration_id"],
        collection_faces=faces,
    )


def candidates(rows: Sequence[Row]) -> list[Candidate]:
    """Read the candidates, in the order of the rows."""
    return [Candidate(row["person_id"], row["display_name"], row["distance"], row["face_id"]) for row in rows]
