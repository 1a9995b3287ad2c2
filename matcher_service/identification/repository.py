"""The statements of Verify, Compare and the counts of failed tries."""

import uuid
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

from matcher_service.domain.faces import Encoding
from matcher_service.identification.query import (
    CompareResult,
    CountedTry,
    VerifyResult,
    face_values,
    faces_values,
    space_of,
)
from matcher_service.postgres.batching import Batcher
from matcher_service.postgres.database import Database, Row
from matcher_service.postgres.driver_errors import retried_on_schema_change
from matcher_service.postgres.vectors import MAX_VECTORS

MAX_CLAIMS = MAX_PAIRS = MAX_VECTORS  # of a statement, which takes its vectors in one
Pair: TypeAlias = tuple[Encoding | uuid.UUID, Encoding | uuid.UUID]


class Claim(NamedTuple):
    """Whose a face is claimed to be."""

    person_id: str
    face: Encoding | uuid.UUID


class DecisionRepository:
    """Measures faces against those stored.

    Every method raises CollectionNotFound, StoreUnavailable and Overloaded.
    """

    def __init__(self, database: Database, *, wait_seconds: float) -> None:
        self._database = database
        self._claims = Batcher(self._verify, max_batch=MAX_CLAIMS, wait_seconds=wait_seconds, kind="call")
        self._pairs = Batcher(self._compare, max_batch=MAX_PAIRS, wait_seconds=wait_seconds, kind="call")

    async def verify(self, collection_id: str, person_id: str, face: Encoding | uuid.UUID) -> VerifyResult:
        """Measure a face against every face of a person."""
        return await self._claims.submit(collection_id, Claim(person_id, face))

    @retried_on_schema_change
    async def _verify(
        self, collection_id: str, claims: Sequence[Claim], callers: frozenset[str]
    ) -> list[VerifyResult]:
        async with self._database.session(collection_id, callers=callers) as session:
            rows = await session.required_rows(
                "verify_claims",
                person_ids=[claim.person_id for claim in claims],
                **faces_values([claim.face for claim in claims]),
            )
        return list(map(_verify_result, rows))

    @retried_on_schema_change
    async def verify_counted(
        self, collection_id: str, person_id: str, face: Encoding | uuid.UUID, count: CountedTry
    ) -> VerifyResult:
        """Measure a face against every face of a person, and count a failed try."""
        async with self._database.session(collection_id) as session:
            row = await session.required_row(
                "verify",
                person_id=person_id,
                **face_values(face),
                caller=count.caller,
                max_distance=count.max_distance,
                space=space_of(face),
                try_seconds=count.try_seconds,
                max_missing_seconds=count.max_missing_seconds,
                match_tries=count.match_tries,
            )
        return _verify_result(row, row["wait_seconds"] or 0.0)

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
        wait_seconds=wait_seconds,
    )
