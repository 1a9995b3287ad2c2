"""The statements of Verify, Compare and the counts of failed tries."""

import uuid

from matcher_service.domain.faces import Encoding
from matcher_service.identification.query import (
    CompareResult,
    CountedTry,
    VerifyResult,
    face_values,
    space_of,
)
from matcher_service.postgres.database import Database
from matcher_service.postgres.driver_errors import retried_on_schema_change


class DecisionRepository:
    """Measures distances to stored faces.

    Every method raises CollectionNotFound, StoreUnavailable and Overloaded.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    @retried_on_schema_change
    async def verify(
        self, collection_id: str, person_id: str, face: Encoding | uuid.UUID, count: CountedTry | None = None
    ) -> VerifyResult:
        """Measure a face against every face of a person, and count a failed try."""
        async with self._database.session(collection_id) as session:
            row = await session.required_row(
                "verify",
                person_id=person_id,
                **face_values(face),
                caller=count and count.caller,
                max_distance=count and count.max_distance,
                space=space_of(face) if count else None,
                try_seconds=count and count.try_seconds,
                max_missing_seconds=count and count.max_missing_seconds,
                match_tries=count and count.match_tries,
            )
        return VerifyResult(
            space=row["space"],
            threshold=row["verify_threshold"],
            person_found=row["person_found"],
            probe_found=row["probe_found"],
            faces=row["faces"],
            face_id=row["face_id"],
            distance=row["distance"],
            wait_seconds=row["wait_seconds"] or 0.0,
        )

    @retried_on_schema_change
    async def compare(
        self, collection_id: str, a: Encoding | uuid.UUID, b: Encoding | uuid.UUID
    ) -> CompareResult:
        """Measure the distance of two faces."""
        async with self._database.session(collection_id) as session:
            row = await session.required_row("compare", **face_values(a, "_a"), **face_values(b, "_b"))
        return CompareResult(
            row["space"], row["verify_threshold"], row["a_found"], row["b_found"], row["distance"]
        )

    @retried_on_schema_change
    async def search_defaults(self, collection_id: str) -> tuple[float, str]:
        """Read a collection's identify threshold and space."""
        async with self._database.session(collection_id) as session:
            row = await session.required_row("search_defaults")
        return row["identify_threshold"], row["space"]

    async def count_refusal(
        self, collection_id: str, caller: str, *, try_seconds: float, max_missing_seconds: float
    ) -> float:
        """Count a refused enrollment; returns 0, or the seconds until the next is allowed."""
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
        """Return a share of the try that a refusal took."""
        await self._database.row(
            "return_refusal", collection_id, caller=caller, try_seconds=try_seconds, returned_share=share
        )
