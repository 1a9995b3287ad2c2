"""Imports: faces in bulk, chunk by chunk, so that nothing is lost or doubled."""

import asyncio
import dataclasses
from collections.abc import Collection, Mapping

import asyncpg

from matcher_service.audit.changes import Action, Change, note
from matcher_service.domain.errors import CollectionNotFound, ModelMismatch, OptionInvalid, PersonFull
from matcher_service.postgres.database import Connection, Database, vector_wire
from matcher_service.postgres.driver_errors import tried_anew
from matcher_service.postgres.statements import of_collection
from matcher_service.transfer.chunks import Checked, Chunk, Header, Progress, Refused, check

MAX_ROWS = 2**32 - 1  # an import's, for the contract to tell the next one
MANY_ROWS = 10  # a person's in a chunk: looked at before they are written, others only afterwards


class Importer:
    """Begins imports. Each chunk takes a connection of the pool for bulk work, and none from other calls."""

    def __init__(self, database: Database, *, max_faces_per_person: int) -> None:
        self._database = database
        self._max_faces_per_person = max_faces_per_person

    @tried_anew
    async def get(self, collection_id: str, import_id: str) -> Progress:
        """Say how far an import came. Raises as Store does."""
        async with self._database.connection() as connection:
            queries = of_collection(collection_id)
            row = await connection.fetchrow(queries["get_import"], collection_id, import_id)
        if row is None:
            raise CollectionNotFound
        return Progress(**{field.name: row[field.name] for field in dataclasses.fields(Progress)})

    @tried_anew
    async def begin(self, header: Header) -> "Import":
        """Begin an import or go on with one.

        Raises as Store does, ModelMismatch, and OptionInvalid where the collection refuses duplicates.
        """
        async with self._database.connection() as connection:
            queries = of_collection(header.collection_id)
            row = await connection.fetchrow(queries["get_import"], header.collection_id, header.import_id)
        if row is None:
            raise CollectionNotFound
        _check_space(header, row["space"])
        _check_policy(header, row["duplicate_policy"])
        return Import(self._database, header, max_faces_per_person=self._max_faces_per_person)


class Import:
    """One call's part of an import. Between its chunks it holds nothing that others could wait for."""

    def __init__(self, database: Database, header: Header, *, max_faces_per_person: int) -> None:
        self._database = database
        self._header = header
        self._max_faces_per_person = max_faces_per_person
        self._next_row = header.first_row

    async def add(self, chunk: Chunk) -> tuple[Progress, list[Refused]]:
        """Store a chunk, but for rows at fault, in one transaction with how far the import came.

        Waits for a connection. Raises as Store does, Overloaded, and OptionInvalid where these rows are not
        the next or beyond MAX_ROWS, or the collection has come to refuse duplicates.
        """
        if self._next_row + len(chunk) > MAX_ROWS:
            raise OptionInvalid(f"an import has {MAX_ROWS} rows at most", field="header.first_row")
        done, refused = await self._add(chunk)
        self._next_row = done.next_row
        return done, refused

    @tried_anew
    async def _add(self, chunk: Chunk) -> tuple[Progress, list[Refused]]:
        checked = await asyncio.to_thread(check, chunk, self._next_row, self._header.space)
        store = self._look if self._header.dry_run else self._store
        return await store(chunk, checked), checked.refused

    def _count(self, chunk: Chunk, checked: Checked, *, added: int, persons: int) -> Progress:
        return Progress(
            next_row=self._next_row + len(chunk),
            faces_added=added,
            faces_already_there=len(chunk) - len(checked.refused) - added,
            rows_refused=len(checked.refused),
            persons_added=persons,
        )

    async def _look(self, chunk: Chunk, checked: Checked) -> Progress:
        """What storing would do."""
        collection_id, persons = self._header.collection_id, checked.person_ids
        async with self._database.transfer_connection() as connection:
            queries = of_collection(collection_id)
            await _find_same(connection, queries, collection_id, chunk, checked)
            await self._refuse_beyond(connection, queries, checked, set(persons))
            known = await connection.fetchval(
                queries["count_known"], collection_id, persons, checked.contents
            )
            strangers = await connection.fetchval(queries["count_strangers"], collection_id, persons)
        return self._count(chunk, checked, added=len(persons) - known, persons=strangers)

    async def _refuse_beyond(
        self,
        connection: Connection,
        queries: Mapping[str, str],
        checked: Checked,
        person_ids: Collection[str],
    ) -> list[asyncpg.Record]:
        """Refuse the rows of some people beyond what a person may have; returns what `find_beyond` does."""
        items = [item for item, person in enumerate(checked.person_ids) if person in person_ids]
        beyond: list[asyncpg.Record] = await connection.fetch(
            queries["find_beyond"],
            self._header.collection_id,
            [checked.person_ids[item] for item in items],
            [checked.contents[item] for item in items],
            self._max_faces_per_person,
        )
        error = PersonFull(self._max_faces_per_person, field="person_ids")
        checked.refuse([items[row["place"] - 1] for row in beyond], self._next_row, error)
        return beyond

    async def _drop_beyond(
        self, connection: Connection, queries: Mapping[str, str], checked: Checked, grown: list[int]
    ) -> int:
        """Take back what was added to people, whom this has locked, beyond what they may have; how many."""
        collection_id = self._header.collection_id
        full = await connection.fetch(queries["find_full"], collection_id, grown, self._max_faces_per_person)
        if not full:
            return 0
        names = {row["person_id"] for row in full}
        beyond = await self._refuse_beyond(connection, queries, checked, names)
        await connection.execute(queries["drop_beyond"], collection_id, [row["face_id"] for row in beyond])
        return len(beyond)

    async def _store(self, chunk: Chunk, checked: Checked) -> Progress:
        header = self._header
        async with (
            self._database.transfer_connection() as connection,
            connection.transaction(isolation="read_committed"),
        ):
            queries = of_collection(header.collection_id)
            held = await connection.fetchrow(queries["lock_import"], header.collection_id, header.import_id)
            if held is None:
                raise CollectionNotFound
            _check_space(header, held["space"])
            if held["next_row"] != self._next_row:
                raise OptionInvalid(
                    f"the import goes on at row {held['next_row']} and row {self._next_row} was sent: ask "
                    "GetImport where to go on",
                    field="header.first_row",
                )
            if many := checked.people_of_more_than(min(MANY_ROWS, self._max_faces_per_person)):
                await self._refuse_beyond(connection, queries, checked, many)
            done = self._count(chunk, checked, added=0, persons=0)
            if checked.places:
                added = await _insert(connection, queries, header, chunk, checked)
                beyond = await self._drop_beyond(connection, queries, checked, added["grown"])
                # Last: what it writes anew counts as added by this transaction.
                if added["grown"]:
                    text = queries["work_out_centers"]
                    await connection.execute(text, header.collection_id, added["grown"])
                done = self._count(chunk, checked, added=added["faces"] - beyond, persons=added["persons"])
                if added["expired"]:
                    change = Change(Action.EXPIRE, faces=added["expired"])
                    await note(connection, queries, header.collection_id, change)
            await _finish(connection, queries, header, done)
        return done


async def _finish(connection: Connection, queries: Mapping[str, str], header: Header, done: Progress) -> None:
    """Note how far the import came and put on record what it added. Raises OptionInvalid by the policy."""
    policy = await connection.fetchval(
        queries["note_import"], header.collection_id, header.import_id, *dataclasses.astuple(done)
    )
    _check_policy(header, policy)
    details = {"import_id": header.import_id}
    if policy == "refuse":
        details["duplicate_policy"] = "ignored"
        if done.faces_added:
            await connection.execute(queries["outdate_searches"], header.collection_id)
    if done.faces_added or done.faces_already_there:
        change = Change(Action.IMPORT, None, done.persons_added, done.faces_added, details)
        await note(connection, queries, header.collection_id, change)


async def _insert(
    connection: Connection,
    queries: Mapping[str, str],
    header: Header,
    chunk: Chunk,
    checked: Checked,
) -> asyncpg.Record:
    taken = checked.places
    fingerprints = {chunk.fingerprints[place] for place in taken}
    await connection.execute(queries["add_models"], header.space, list(fingerprints))
    locked = await connection.fetch(
        queries["lock_imported_persons"], header.collection_id, list(set(checked.person_ids))
    )
    if locked:
        await _find_same(connection, queries, header.collection_id, chunk, checked)
    row = await connection.fetchrow(
        queries["import_faces"],
        header.collection_id,
        checked.person_ids,
        [chunk.display_names[place] for place in taken],
        [chunk.external_refs[place] for place in taken],
        checked.contents,
        [vector_wire(chunk.encodings[place]) for place in taken],
        [chunk.fingerprints[place] for place in taken],
        [chunk.expire_times[place] for place in taken],
        header.space,
        [each["person_key"] for each in locked],
    )
    assert row is not None
    return row


async def _find_same(
    connection: Connection, queries: Mapping[str, str], collection_id: str, chunk: Chunk, checked: Checked
) -> None:
    """Give an encoding that its person has from a photo that photo's content, so that it is there already."""
    found = await connection.fetch(
        queries["find_same_encodings"],
        collection_id,
        checked.person_ids,
        checked.contents,
        [vector_wire(chunk.encodings[place]) for place in checked.places],
    )
    for row in found:
        checked.contents[row["place"] - 1] = row["content_id"]


def _check_space(header: Header, space: str) -> None:
    if header.space != space:
        raise ModelMismatch(
            f"the encodings are of space {header.space} and the collection holds {space}; distances between "
            "spaces mean nothing",
            field="header.space",
        )


def _check_policy(header: Header, duplicate_policy: str) -> None:
    if duplicate_policy == "refuse" and not header.ignores_policy:
        raise OptionInvalid(
            "the collection refuses duplicates and an import looks for none: enroll the faces one by one, or "
            "set ignore_duplicate_policy, for which a key takes the role admin, and see what ListDuplicates "
            "finds afterwards",
            field="header.ignore_duplicate_policy",
        )
