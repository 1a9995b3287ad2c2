"""Imports faces chunk by chunk, each exactly once."""

import asyncio
import dataclasses
from collections.abc import Collection

from matcher_service.audit.changes import Action, Change, append_event
from matcher_service.domain.attributes import MAX_LABELS, AttributeChange, labels_text
from matcher_service.domain.errors import ModelMismatch, OptionInvalid, Overloaded, PersonFull
from matcher_service.postgres.database import Database, Row, Session
from matcher_service.postgres.driver_errors import RETRY_OVERLOADED_SECONDS, retried_on_schema_change
from matcher_service.postgres.vectors import vector_wire
from matcher_service.transfer.chunks import Checked, Chunk, Header, Progress, Refused, check

MAX_ROWS = 2**32 - 1  # of an import: the contract's next_row is a uint32
MANY_ROWS = 10  # of a person in a chunk: with more, the limit of faces is checked before writing, else after


class Importer:
    """Begins imports. Each chunk uses a connection of the transfer pool."""

    def __init__(self, database: Database, *, max_faces_per_person: int) -> None:
        self._database = database
        self._max_faces_per_person = max_faces_per_person

    @retried_on_schema_change
    async def get(self, collection_id: str, import_id: str) -> Progress:
        """Read an import's progress. Raises CollectionNotFound, StoreUnavailable, Overloaded."""
        async with self._database.session(collection_id) as session:
            row = await session.required_row("get_import", import_id=import_id)
        return Progress(**{field.name: row[field.name] for field in dataclasses.fields(Progress)})

    @retried_on_schema_change
    async def begin(self, header: Header) -> "Import":
        """Begin or continue an import.

        Raises CollectionNotFound, StoreUnavailable, Overloaded, ModelMismatch, and OptionInvalid if the
        collection refuses duplicates or inconsistent faces.
        """
        async with self._database.session(header.collection_id) as session:
            row = await session.required_row("get_import", import_id=header.import_id)
        _check_space(header, row["space"])
        _check_policy(header, refuses=row["refuses"])
        return Import(self._database, header, max_faces_per_person=self._max_faces_per_person)


class Import:
    """One call of an import. Between two chunks it holds no lock and no connection."""

    def __init__(self, database: Database, header: Header, *, max_faces_per_person: int) -> None:
        self._database = database
        self._header = header
        self._max_faces_per_person = max_faces_per_person
        self._next_row = header.first_row

    async def add(self, chunk: Chunk) -> tuple[Progress, list[Refused]]:
        """Store a chunk's valid rows and the import's progress in one transaction.

        Waits for a connection. Raises CollectionNotFound, StoreUnavailable, Overloaded, and OptionInvalid if
        these are not the next rows, are beyond MAX_ROWS, or the collection now refuses duplicates.
        """
        if self._next_row + len(chunk) > MAX_ROWS:
            raise OptionInvalid(
                f"an import may have {MAX_ROWS} rows at most: split it", field="header.first_row"
            )
        done, refused = await self._add(chunk)
        self._next_row = done.next_row
        return done, refused

    @retried_on_schema_change
    async def _add(self, chunk: Chunk) -> tuple[Progress, list[Refused]]:
        checked = await asyncio.to_thread(check, chunk, self._next_row, self._header.space)
        add = self._dry_run if self._header.dry_run else self._store
        return await add(chunk, checked), checked.refused

    def _count(self, chunk: Chunk, checked: Checked, *, added: int, persons: int) -> Progress:
        return Progress(
            next_row=self._next_row + len(chunk),
            faces_added=added,
            faces_already_there=len(chunk) - len(checked.refused) - added,
            rows_refused=len(checked.refused),
            persons_added=persons,
        )

    async def _dry_run(self, chunk: Chunk, checked: Checked) -> Progress:
        """Count what storing the chunk would do."""
        persons = checked.person_ids
        async with self._database.transfer_session(self._header.collection_id) as session:
            await _find_same(session, chunk, checked)
            await self._refuse_excess(session, checked, set(persons))
            await self._refuse_labels(session, chunk, checked)
            existing = await session.value("count_known", person_ids=persons, content_ids=checked.contents)
            new = await session.value("count_new_persons", person_ids=persons)
        return self._count(chunk, checked, added=len(persons) - existing, persons=new)

    async def _refuse_excess(
        self, session: Session, checked: Checked, person_ids: Collection[str]
    ) -> list[Row]:
        """Refuse the rows of some people beyond the limit of faces; returns the rows of `find_excess`."""
        items = [item for item, person in enumerate(checked.person_ids) if person in person_ids]
        excess = await session.rows(
            "find_excess",
            person_ids=[checked.person_ids[item] for item in items],
            content_ids=[checked.contents[item] for item in items],
            max_faces=self._max_faces_per_person,
        )
        error = PersonFull(self._max_faces_per_person, field="person_ids")
        checked.refuse([items[row["ordinal"] - 1] for row in excess], self._next_row, error)
        return excess

    async def _refuse_labels(self, session: Session, chunk: Chunk, checked: Checked) -> None:
        """Refuse the rows that would give a person more than MAX_LABELS labels."""
        given = {person: each.labels for person, each in checked.attributes_by_person(chunk).items()}
        if not any(given.values()):
            return
        excess = {
            row["person_id"]
            for row in await session.rows(
                "find_label_excess",
                person_ids=list(given),
                labels=[labels_text(labels) for labels in given.values()],
                max_labels=MAX_LABELS,
            )
        }
        refused = [
            item
            for item, (index, person) in enumerate(zip(checked.indexes, checked.person_ids, strict=True))
            if person in excess and getattr(chunk.attributes[index], "labels", None)
        ]
        error = OptionInvalid(f"a person may have {MAX_LABELS} labels at most", field="attributes")
        checked.refuse(refused, self._next_row, error)

    async def _delete_excess(self, session: Session, checked: Checked, grown: list[int]) -> int:
        """Delete faces just added to locked people beyond the limit of faces; returns their number."""
        full = await session.rows(
            "find_full_persons", person_keys=grown, max_faces=self._max_faces_per_person
        )
        if not full:
            return 0
        names = {row["person_id"] for row in full}
        excess = await self._refuse_excess(session, checked, names)
        await session.execute("delete_excess", face_ids=[row["face_id"] for row in excess])
        return len(excess)

    async def _insert(self, session: Session, chunk: Chunk, checked: Checked) -> Row:
        """Lock the persons and add the faces. Raises Overloaded."""
        fingerprints = {chunk.fingerprints[index] for index in checked.indexes}
        await session.execute("add_models", space=self._header.space, fingerprints=list(fingerprints))
        locked = await session.rows("lock_imported_persons", person_ids=list(set(checked.person_ids)))
        await self._refuse_labels(session, chunk, checked)
        if locked:
            await _find_same(session, chunk, checked)
        taken, given = checked.indexes, checked.attributes_by_person(chunk)
        first = [given.pop(person_id, None) for person_id in checked.person_ids]  # with one row of each
        added = await session.required_row(
            "import_faces",
            person_ids=checked.person_ids,
            display_names=[chunk.display_names[index] for index in taken],
            external_refs=[chunk.external_refs[index] for index in taken],
            content_ids=checked.contents,
            encodings=[vector_wire(chunk.encodings[index]) for index in taken],
            fingerprints=[chunk.fingerprints[index] for index in taken],
            expire_times=[chunk.expire_times[index] for index in taken],
            labels=[labels_text(each.labels) if each else None for each in first],
            metadata=[each.metadata if each else None for each in first],
            space=self._header.space,
            locked_keys=[each["person_key"] for each in locked],
        )
        if added["labels"] > MAX_LABELS:  # of a person who was enrolled meanwhile: refused once locked
            raise Overloaded(
                "a person of the chunk was enrolled meanwhile; retry later",
                retry_after_seconds=RETRY_OVERLOADED_SECONDS,
            )
        return added

    async def _store(self, chunk: Chunk, checked: Checked) -> Progress:
        header = self._header
        async with (
            self._database.transfer_session(header.collection_id) as session,
            session.transaction(),
        ):
            locked = await session.required_row("lock_import", import_id=header.import_id)
            _check_space(header, locked["space"])
            if locked["next_row"] != self._next_row:
                raise OptionInvalid(
                    f"the import continues at row {locked['next_row']} and row {self._next_row} was sent: "
                    "send the row that GetImport names",
                    field="header.first_row",
                )
            if many := checked.people_of_more_than(min(MANY_ROWS, self._max_faces_per_person)):
                await self._refuse_excess(session, checked, many)
            done = self._count(chunk, checked, added=0, persons=0)
            changed: dict[str, str] = {}
            if checked.indexes:
                added = await self._insert(session, chunk, checked)
                excess = await self._delete_excess(session, checked, added["uncentered_keys"])
                # Last: a row that it updates would count as added by this transaction.
                if added["uncentered_keys"]:
                    await session.execute("update_centers", person_keys=added["uncentered_keys"])
                changed |= await _suspend(session, checked.attributes_by_person(chunk))
                done = self._count(chunk, checked, added=added["faces"] - excess, persons=added["persons"])
                if added["expired"]:
                    change = Change(Action.EXPIRE, faces=added["expired"])
                    await append_event(session, change)
            await _finish(session, header, done, changed)
        return done


async def _suspend(session: Session, given: dict[str, AttributeChange]) -> dict[str, str]:
    """Suspend and resume the persons of a chunk as it says; returns the audit event's details of it."""
    details: dict[str, str] = {}
    for suspended, name in ((True, "persons_suspended"), (False, "persons_resumed")):
        persons = [person for person, each in given.items() if each.suspended is suspended]
        if persons:
            changed = await session.rows("suspend_imported_persons", person_ids=persons, suspended=suspended)
            details |= {name: str(len(changed))} if changed else {}
    return details


async def _finish(session: Session, header: Header, done: Progress, changed: dict[str, str]) -> None:
    """Store the import's progress and audit event. Raises OptionInvalid by the policies."""
    refuses = await session.value(
        "record_import_progress", import_id=header.import_id, **dataclasses.asdict(done)
    )
    _check_policy(header, refuses=refuses)
    details = {"import_id": header.import_id, **changed}
    if refuses:
        details["duplicate_policy"] = "ignored"
        if done.faces_added:
            await session.execute("outdate_duplicate_searches")
    if done.faces_added or done.faces_already_there:
        change = Change(Action.IMPORT, None, done.persons_added, done.faces_added, details)
        await append_event(session, change)


async def _find_same(session: Session, chunk: Chunk, checked: Checked) -> None:
    """Use the photo's content id for encodings that a person has from a photo: they then count as known."""
    found = await session.rows(
        "find_same_encodings",
        person_ids=checked.person_ids,
        content_ids=checked.contents,
        encodings=[vector_wire(chunk.encodings[index]) for index in checked.indexes],
    )
    for row in found:
        checked.contents[row["ordinal"] - 1] = row["content_id"]


def _check_space(header: Header, space: str) -> None:
    if header.space != space:
        raise ModelMismatch(
            f"the encodings are of space {header.space} and the collection holds {space}: send encodings of "
            "the collection's space, as those of different spaces cannot be compared",
            field="header.space",
        )


def _check_policy(header: Header, *, refuses: bool) -> None:
    if refuses and not header.ignores_policy:
        raise OptionInvalid(
            "the collection refuses duplicates or inconsistent faces, which an import does not look for: "
            "enroll the faces one by one, or set ignore_duplicate_policy (requires the role admin) and "
            "review ListDuplicates and ListInconsistentFaces afterwards",
            field="header.ignore_duplicate_policy",
        )
