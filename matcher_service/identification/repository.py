"""The statements of Verify, Compare and the counts of failed tries."""

import dataclasses
import uuid
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

from matcher_service.domain.attributes import Attributes
from matcher_service.domain.faces import Encoding, ScoreRule
from matcher_service.identification.fusion import Claimed
from matcher_service.identification.query import (
    ComparedSide,
    CompareResult,
    CountedTry,
    PersonsCompareResult,
    Query,
    SearchResult,
    VerifyResult,
    counted_result,
    face_values,
    faces_values,
    space_of,
)
from matcher_service.postgres.batching import Batcher
from matcher_service.postgres.database import Database, Row
from matcher_service.postgres.driver_errors import retried_on_schema_change
from matcher_service.postgres.vectors import MAX_VECTORS, read_vectors

MAX_CLAIMS = MAX_PAIRS = MAX_VECTORS  # of a statement, which takes its vectors in one
Pair: TypeAlias = tuple[Encoding | uuid.UUID, Encoding | uuid.UUID]
Side: TypeAlias = Encoding | uuid.UUID | str
"""A face, or the id of a person."""


class NoTryLeft(Exception):
    """No failed try is left against one of several persons until `wait_seconds` from now."""

    def __init__(self, wait_seconds: float) -> None:
        super().__init__(wait_seconds)
        self.wait_seconds = wait_seconds


class Claim(NamedTuple):
    """Whose a face is claimed to be."""

    person_id: str
    claimed: Claimed


class DecisionRepository:
    """Measures faces against those stored.

    Every method raises CollectionNotFound, StoreUnavailable and Overloaded.
    """

    def __init__(self, database: Database, *, wait_seconds: float) -> None:
        self._database = database
        self._claims = Batcher(self._verify, max_batch=MAX_CLAIMS, wait_seconds=wait_seconds, kind="call")
        self._pairs = Batcher(self._compare, max_batch=MAX_PAIRS, wait_seconds=wait_seconds, kind="call")

    async def verify(self, collection_id: str, person_id: str, claimed: Claimed) -> VerifyResult:
        """Measure a face against every face of a person, by the collection's rule."""
        return await self._claims.submit(collection_id, Claim(person_id, claimed))

    @retried_on_schema_change
    async def _verify(
        self, collection_id: str, claims: Sequence[Claim], callers: frozenset[str]
    ) -> list[VerifyResult]:
        async with self._database.session(collection_id, callers=callers) as session:
            rows = await session.required_rows(
                "verify_claims",
                person_ids=[claim.person_id for claim in claims],
                **faces_values([claim.claimed.face for claim in claims]),
                spreads=[claim.claimed.spread for claim in claims],
            )
        return list(map(_verify_result, rows))

    @retried_on_schema_change
    async def verify_counted(
        self, collection_id: str, person_id: str, claimed: Claimed, count: CountedTry
    ) -> VerifyResult:
        """Measure a face as `verify` does, and count a failed try."""
        async with self._database.session(collection_id) as session:
            row = await session.required_row(
                "verify",
                person_id=person_id,
                **face_values(claimed.face),
                spread=claimed.spread,
                space=space_of(claimed.face),
                **dataclasses.asdict(count),
            )
        return _verify_result(row, row["wait_seconds"] or 0.0)

    @retried_on_schema_change
    async def identify_counted(self, query: Query, count: CountedTry) -> SearchResult:
        """Measure a face against every face of a query's people, and count a failed try against each whom
        it does not match. Raises NoTryLeft, and then counts nothing.
        """
        async with self._database.transaction(query.collection_id) as session:
            rows = await session.required_rows(
                "identify_counted",
                person_keys=query.person_keys,
                **face_values(query.face),
                space=query.space,
                **dataclasses.asdict(count),
            )
            if wait_seconds := max(row["wait_seconds"] or 0.0 for row in rows):
                raise NoTryLeft(wait_seconds)
        return counted_result(query, rows)

    async def compare(
        self, collection_id: str, a: Encoding | uuid.UUID, b: Encoding | uuid.UUID
    ) -> CompareResult:
        """Measure two faces against each other."""
        return await self._pairs.submit(collection_id, (a, b))

    @retried_on_schema_change
    async def _compare(
        self, collection_id: str, pairs: Sequence[Pair], callers: frozenset[str]
    ) -> list[CompareResult]:
        async with self._database.session(collection_id, callers=callers) as session:
            rows = await session.required_rows(
                "compare_pairs",
                **faces_values([a for a, _ in pairs], "_a"),
                **faces_values([b for _, b in pairs], "_b"),
            )
        return [
            CompareResult(
                row["space"], row["verify_threshold"], row["a_found"], row["b_found"], row["distance"]
            )
            for row in rows
        ]

    @retried_on_schema_change
    async def compare_persons(
        self, collection_id: str, a: Side, b: Side, *, max_faces: int
    ) -> PersonsCompareResult:
        """Measure the nearest faces of two sides: a person's, by their id, of whom `max_faces` faces at most
        are read, or a face.
        """
        async with self._database.session(collection_id) as session:
            row = await session.required_row(
                "compare_persons", max_faces=max_faces, **_side_values(a, "_a"), **_side_values(b, "_b")
            )
        side_a, side_b = (
            ComparedSide(row[f"person_found_{side}"], row[f"faces_{side}"], row[f"face_id_{side}"])
            for side in "ab"
        )
        return PersonsCompareResult(row["space"], row["verify_threshold"], side_a, side_b, row["distance"])

    @retried_on_schema_change
    async def read_probe_person(
        self, collection_id: str, person_id: str, *, max_faces: int, max_staleness: float | None
    ) -> tuple[int | None, list[uuid.UUID]]:
        """Read a person's key, None for nobody, and the ids of `max_faces` faces at most.

        `max_staleness` is as in `Database.index_session`.
        """
        async with self._database.index_session(collection_id, max_staleness=max_staleness) as session:
            row = await session.required_row("read_probe_person", person_id=person_id, max_faces=max_faces)
        return row["person_key"], row["face_ids"]

    @retried_on_schema_change
    async def read_attributes(
        self, collection_id: str, person_ids: Sequence[str], *, max_staleness: float | None = None
    ) -> dict[str, Attributes]:
        """Read the attributes of people by their ids; those who were erased meanwhile are left out.

        `max_staleness` is as in `Database.index_session`.
        """
        lent = (
            self._database.session(collection_id)
            if max_staleness is None
            else self._database.index_session(collection_id, max_staleness=max_staleness)
        )
        async with lent as session:
            rows = await session.rows("read_attributes", person_ids=person_ids)
        return {row["person_id"]: Attributes.of(row["labels"], row["metadata"]) for row in rows}

    @retried_on_schema_change
    async def read_probes(
        self, collection_id: str, face_ids: Sequence[uuid.UUID], *, max_staleness: float | None = None
    ) -> list[Encoding | None]:
        """Read the vectors of stored faces; None for one that does not exist. `max_staleness` is as in
        `Database.index_session`.
        """
        async with self._database.index_session(collection_id, max_staleness=max_staleness) as session:
            rows = await session.required_rows("read_probes", face_ids=face_ids)
        return [
            None if row["encoding"] is None else Encoding(read_vectors([row["encoding"]])[0], row["space"])
            for row in rows
        ]

    @retried_on_schema_change
    async def search_defaults(self, collection_id: str, max_staleness: float | None) -> tuple[float, str]:
        """Read a collection's identify threshold and space. `max_staleness` as in `index_session`."""
        async with self._database.index_session(collection_id, max_staleness=max_staleness) as session:
            row = await session.required_row("search_defaults")
        return row["identify_threshold"], row["space"]

    async def count_refusal(
        self, collection_id: str, caller: str, *, try_seconds: float, max_missing_seconds: float
    ) -> float:
        """Count an enrollment refused as a duplicate; returns 0, or the seconds until the next is allowed."""
        row = await self._database.row(
            "count_refusal",
            collection_id,
            caller=caller,
            try_seconds=try_seconds,
            max_missing_seconds=max_missing_seconds,
        )
        return (row and row["wait_seconds"]) or 0.0

    async def return_refusal(
        self, collection_id: str, caller: str, *, try_seconds: float, share: float
    ) -> None:
        """Give back a share of what a refusal took."""
        await self._database.row(
            "return_refusal", collection_id, caller=caller, try_seconds=try_seconds, returned_share=share
        )


def _verify_result(row: Row, wait_seconds: float = 0.0) -> VerifyResult:
    return VerifyResult(
        space=row["space"],
        threshold=row["verify_threshold"],
        person_found=row["person_found"],
        probe_found=row["probe_found"],
        faces=row["faces"],
        face_id=row["face_id"],
        distance=row["distance"],
        rule=ScoreRule(row["score_rule"]),
        wait_seconds=wait_seconds,
        suspended=row["suspended"],
    )


def _side_values(side: Side, suffix: str) -> dict[str, Any]:
    if isinstance(side, str):
        return {f"person_id{suffix}": side, f"face_id{suffix}": None, f"encoding{suffix}": None}
    return {f"person_id{suffix}": None, **face_values(side, suffix)}
