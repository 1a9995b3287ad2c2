"""Creates, reads, changes and erases collections."""

import dataclasses
import datetime

from facerec.serving.middleware import call
from matcher_service.audit.changes import Action, Change, append_event
from matcher_service.domain import page_tokens
from matcher_service.domain.collection import Collection, CollectionErasure, CollectionSettings, SearchIndex
from matcher_service.domain.errors import CollectionExists, CollectionNotEmpty, CollectionNotFound
from matcher_service.domain.proportion import Proportion
from matcher_service.operations.recording import Record, record_nothing
from matcher_service.postgres.database import Database, Row, Session
from matcher_service.postgres.driver_errors import retried_on_schema_change

NO_RETENTION = datetime.timedelta(0)
CONVERTED = ("retention", "refused_qualities")
DELETION_SECONDS = 3600.0  # at most, within the caller's deadline: the erased rows are counted
NOT_EMPTY = "the collection has people: set force to erase them with it"
COUNTED_ROWS = 10_000  # counting these takes milliseconds; Postgres's estimate may be several times off


class CollectionRepository:
    """Reads and changes collections. Every method also raises StoreUnavailable and Overloaded."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @retried_on_schema_change
    async def create(self, collection_id: str, space: str, settings: CollectionSettings) -> Collection:
        """Add an empty collection. Raises CollectionExists."""
        async with self._database.transaction(collection_id) as session:
            if not await session.value("create_collection", space=space):
                raise CollectionExists(
                    "a collection with this id exists already: choose another id", field="collection_id"
                )
            if settings != CollectionSettings():
                await session.execute("update_collection", **_values(settings))
            await _add_recent_enrollment(session, settings)
            row = await session.required_row("get_collection")
            await append_event(session, Change(Action.CREATE_COLLECTION))
        made = dataclasses.replace(_collection(row), estimated_faces=0, estimated_persons=0)
        return dataclasses.replace(made, faces_exact=True, persons_exact=True)

    async def get(self, collection_id: str) -> Collection:
        """Read one collection; fewer than COUNTED_ROWS faces and people are counted, more are estimated.

        Raises CollectionNotFound.
        """
        row = await self._database.row("get_collection", collection_id)
        if row is None:
            raise CollectionNotFound
        return await self._counted(_collection(row))

    @retried_on_schema_change
    async def list(self, page_size: int, page_token: str) -> tuple[list[Collection], str]:
        """Read a page of collections by their ids, and the next page's token. Raises OptionInvalid."""
        after = page_tokens.read_collection(page_token)
        async with self._database.search_session() as session:
            rows = await session.rows("list_collections", after_collection_id=after, max_rows=page_size + 1)
        collections = [_collection(row) for row in rows[:page_size]]
        more = len(rows) > page_size
        return collections, page_tokens.collection_token(collections[-1]) if more else ""

    @retried_on_schema_change
    async def update(self, collection_id: str, settings: CollectionSettings) -> Collection:
        """Change settings. Raises CollectionNotFound.

        Settings of duplicates and consistency change while no enrollment is in progress, so that later ones
        see them; Overloaded if enrollments never paused.
        """
        async with self._database.transaction(collection_id) as session:
            policies = (settings.duplicate_policy, settings.duplicate_threshold, settings.consistency_policy)
            if any(value is not None for value in policies):
                await session.execute("stop_enrollment")
            await session.execute("lock_collection")
            old = _collection(await session.required_row("get_collection"))
            await session.execute("update_collection", **_values(settings))
            await _add_recent_enrollment(session, settings)
            new = _collection(await session.required_row("get_collection"))
            change = Change(Action.UPDATE_COLLECTION, details=_differences(old.settings, new.settings))
            await append_event(session, change)
        return await self._counted(new)

    @retried_on_schema_change
    async def delete(
        self, collection_id: str, *, force: bool, record: Record[CollectionErasure] = record_nothing
    ) -> CollectionErasure:
        """Erase a collection, with `force` and everybody in it; all counts are 0 if there is none.

        Raises CollectionNotEmpty without `force` where it has people. `record` is awaited in the transaction
        of the erasure.

        Uses a connection for bulk work; it may run until the caller's deadline, beyond the limit of other
        statements.
        """
        if not force:
            await self._check_empty(collection_id)
        async with (
            self._database.transfer_session(collection_id, long=True) as session,
            session.transaction(),
        ):
            seconds = max(0.001, call.remaining_seconds(DELETION_SECONDS))
            limit = f"{seconds * 1000:.0f}ms"
            await session.execute("limit_statements", time_limit=limit)
            row = await session.required_row("delete_collection", timeout_seconds=seconds + 1)
            if row["persons"] and not force:  # enrolled since they were looked for
                raise CollectionNotEmpty(NOT_EMPTY, field="force")
            if row["collections"]:
                change = Change(Action.DELETE_COLLECTION, None, row["persons"], row["faces"])
                await append_event(session, change)
            await session.execute("delete_operations")
            erasure = CollectionErasure(row["collections"], row["persons"], row["faces"], row["delete_time"])
            await record(session, erasure)
        return erasure

    async def _counted(self, found: Collection) -> Collection:
        """The collection with fewer than COUNTED_ROWS faces and people counted."""
        if found.estimated_persons < COUNTED_ROWS:
            counted = await self._database.row(
                "count_some_persons", found.collection_id, max_persons=COUNTED_ROWS
            )
            persons = counted["persons"] if counted else 0
            found = dataclasses.replace(
                found, estimated_persons=persons, persons_exact=persons < COUNTED_ROWS
            )
        if found.estimated_faces < COUNTED_ROWS:
            counted = await self._database.row(
                "count_some_faces", found.collection_id, max_faces=COUNTED_ROWS
            )
            faces = counted["faces"] if counted else 0
            found = dataclasses.replace(found, estimated_faces=faces, faces_exact=faces < COUNTED_ROWS)
        return found

    async def _check_empty(self, collection_id: str) -> None:
        """Refuse before the erasure locks anything and counts everybody."""
        try:
            found = await self._database.row("has_persons", collection_id)
        except CollectionNotFound:
            return
        if found and found["has_persons"]:
            raise CollectionNotEmpty(NOT_EMPTY, field="force")


def _values(settings: CollectionSettings) -> dict[str, object]:
    """The settings by name, as `update_collection` expects them."""
    return {field.name: getattr(settings, field.name) for field in dataclasses.fields(settings)}


async def _add_recent_enrollment(session: Session, settings: CollectionSettings) -> None:
    if "refuse" in (settings.duplicate_policy, settings.consistency_policy):
        await session.execute("add_recent_enrollment")


def _differences(old: CollectionSettings, new: CollectionSettings) -> dict[str, str]:
    """The changed settings, before and after; a display name, which may be personal, without its values."""
    names = [field.name for field in dataclasses.fields(CollectionSettings)]
    changed = [name for name in names if getattr(old, name) != getattr(new, name)]
    return {
        name: "changed" if name == "display_name" else f"{getattr(old, name)} -> {getattr(new, name)}"
        for name in changed
    }


def _collection(row: Row) -> Collection:
    plain = [field.name for field in dataclasses.fields(CollectionSettings) if field.name not in CONVERTED]
    return Collection(
        collection_id=row["collection_id"],
        space=row["space"],
        settings=CollectionSettings(
            **{name: row[name] for name in plain},
            retention=row["retention"] or NO_RETENTION,
            refused_qualities=tuple(row["refused_qualities"]),
        ),
        estimated_faces=row["estimated_faces"],
        estimated_persons=row["estimated_persons"],
        index=SearchIndex(
            ready=row["lists_read"] is not None,
            persons=row["index_persons"] or 0,
            faces=row["index_faces"] or 0,
            recall=row["index_recall"],
            build_time=row["index_time"],
            build_phase=row["build_phase"] or "",
            build_done=row["build_done"] or 0.0,
            recall_time=row["recall_time"],
            recall_low=_low(row["index_recall"], row["recall_samples"]),
            far_recall=row["index_far_recall"],
            far_recall_low=_low(row["index_far_recall"], row["far_samples"]),
        ),
        create_time=row["create_time"],
        update_time=row["update_time"],
        calibration_id=row["calibration_id"],
    )


def _low(share: float | None, samples: int | None) -> float | None:
    """The lower end of a share's interval; None if the share or its sample size is unknown."""
    return None if share is None or not samples else Proportion(round(share * samples), samples).interval[0]
