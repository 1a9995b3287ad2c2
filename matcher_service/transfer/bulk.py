"""Faces in bulk: imported chunk by chunk so that nothing is lost or doubled, exported from one snapshot."""

import asyncio
import collections
import contextlib
import dataclasses
import datetime
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Mapping, Sequence

import asyncpg
import numpy as np
import numpy.typing as npt

from matcher_service.audit.changes import Action, Change, note
from matcher_service.domain import ids
from matcher_service.domain.content_hash import encoding_ids
from matcher_service.domain.errors import (
    CollectionNotFound,
    EncodingInvalid,
    MatcherError,
    ModelMismatch,
    OptionInvalid,
    Overloaded,
    PersonFull,
)
from matcher_service.domain.faces import MAX_VALUE
from matcher_service.postgres.database import DIMENSIONS, Connection, Database, vector_wire
from matcher_service.postgres.driver_errors import tried_anew
from matcher_service.postgres.statements import of_collection

RETRY_SECONDS = 60.0
STALLED_SECONDS = 60.0
MAX_ROWS = 2**32 - 1  # an import's, for the contract to tell the next one
MANY_ROWS = 10  # a person's in a chunk: looked at before they are written, others only afterwards
EXPORT_FACES = 2000  # a page: 1.2 MB, or 8 where every text is as long as it may be
EXPORT_BYTES = (
    3 * 1024 * 1024
)  # a message's at most: clients of gRPC take 4 MiB unless they are told otherwise
ROW_BYTES = 4 * DIMENSIONS + 40  # a face's vector, its time, and what frames them and the texts

Vectors = npt.NDArray[np.float32]


@dataclasses.dataclass(frozen=True, eq=False)
class Chunk:
    """Faces in columns: vectors of shape (n, 128), and n items each. None in `expire_times` is never."""

    encodings: Vectors
    person_ids: Sequence[str]
    display_names: Sequence[str]
    external_refs: Sequence[str]
    expire_times: Sequence[datetime.datetime | None]
    fingerprints: Sequence[str]

    def __len__(self) -> int:
        return len(self.person_ids)


@dataclasses.dataclass(frozen=True)
class Refused:
    """A row that is not taken: its place in the import, the column at fault, and how to mend it."""

    row: int
    field: str
    message: str


@dataclasses.dataclass(frozen=True)
class Header:
    """An import: `first_row` is the place of the first face sent in all of it.

    `ignores_policy` where faces are taken without looking for duplicates, whatever the collection's policy.
    """

    collection_id: str
    space: str
    import_id: str
    first_row: int
    dry_run: bool
    ignores_policy: bool = False


@dataclasses.dataclass(frozen=True)
class Progress:
    """What an import did: counts of faces and persons, and the row it goes on at."""

    next_row: int = 0
    faces_added: int = 0
    faces_already_there: int = 0
    rows_refused: int = 0
    persons_added: int = 0

    def and_then(self, more: "Progress") -> "Progress":
        """Both together."""
        return Progress(
            more.next_row,
            self.faces_added + more.faces_added,
            self.faces_already_there + more.faces_already_there,
            self.rows_refused + more.rows_refused,
            self.persons_added + more.persons_added,
        )


Write = Callable[[str, Chunk], Awaitable[None]]
"""Takes the space of an export's faces and some of them, and returns when it can take more."""


class Transfer:
    """Bulk work on connections of its own: it keeps none from other calls.

    An import takes one for each chunk and an export one for as long as it lasts.
    """

    def __init__(self, database: Database, *, export_seconds: float, max_faces_per_person: int) -> None:
        self._database = database
        self._export_seconds = export_seconds
        self._max_faces_per_person = max_faces_per_person

    @tried_anew
    async def get_import(self, collection_id: str, import_id: str) -> Progress:
        """Say how far an import came. Raises as Store does."""
        async with self._database.connection() as connection:
            queries = of_collection(collection_id)
            row = await connection.fetchrow(queries["get_import"], collection_id, import_id)
        if row is None:
            raise CollectionNotFound
        return Progress(**{field.name: row[field.name] for field in dataclasses.fields(Progress)})

    @tried_anew
    async def begin_import(self, header: Header) -> "Import":
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

    async def export(self, collection_id: str, write: Write) -> None:
        """Write every face that has not expired, by person and age. Raises as Store does, Overloaded.

        One snapshot, which keeps vacuum from removing what is deleted meanwhile: it lasts `export_seconds`
        at most, however slowly is read what is written, and ends when nothing is read for STALLED_SECONDS.
        """
        late = "read it faster, or raise export_timeout_seconds"
        message = f"the export took longer than {self._export_seconds:g} s: {late}"
        async with limit(self._export_seconds, message):
            await self._export(collection_id, write)

    async def _export(self, collection_id: str, write: Write) -> None:
        async with (
            self._database.export_connection() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            queries = of_collection(collection_id)
            head = await connection.fetchrow(queries["get_import"], collection_id, "")
            if head is None:
                raise CollectionNotFound
            await self._note_export(collection_id)
            after: tuple[str, datetime.datetime | None, uuid.UUID | None] = ("", None, None)
            while rows := await connection.fetch(
                queries["export_faces"], collection_id, *after, EXPORT_FACES
            ):
                after = (rows[-1]["person_id"], rows[-1]["create_time"], rows[-1]["face_id"])
                for faces in _messages([row for row in rows if row["face_id"] is not None]):
                    async with limit(STALLED_SECONDS, f"the export was not read for {STALLED_SECONDS:g} s"):
                        await write(head["space"], _chunk(faces))

    @tried_anew
    async def _note_export(self, collection_id: str) -> None:
        """Put on record that all faces are read, before any is."""
        async with self._database.connection() as connection:
            await note(connection, of_collection(collection_id), collection_id, Change(Action.EXPORT))


@contextlib.asynccontextmanager
async def limit(seconds: float, message: str) -> AsyncIterator[None]:
    """End what takes longer. Raises Overloaded with the message."""
    try:
        async with asyncio.timeout(seconds) as ends:
            yield
    except TimeoutError:
        if not ends.expired():
            raise
        raise Overloaded(message, retry_after_seconds=RETRY_SECONDS) from None


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
        checked = await asyncio.to_thread(_check, chunk, self._next_row, self._header.space)
        store = self._look if self._header.dry_run else self._store
        return await store(chunk, checked), checked.refused

    def _count(self, chunk: Chunk, checked: "Checked", *, added: int, persons: int) -> Progress:
        return Progress(
            next_row=self._next_row + len(chunk),
            faces_added=added,
            faces_already_there=len(chunk) - len(checked.refused) - added,
            rows_refused=len(checked.refused),
            persons_added=persons,
        )

    async def _look(self, chunk: Chunk, checked: "Checked") -> Progress:
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
        checked: "Checked",
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
        self, connection: Connection, queries: Mapping[str, str], checked: "Checked", grown: list[int]
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

    async def _store(self, chunk: Chunk, checked: "Checked") -> Progress:
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
    checked: "Checked",
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
    connection: Connection, queries: Mapping[str, str], collection_id: str, chunk: Chunk, checked: "Checked"
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


@dataclasses.dataclass(frozen=True)
class Checked:
    """The places of a chunk to store, with the person and content of each, and the rows at fault."""

    places: list[int]
    person_ids: list[str]
    contents: list[uuid.UUID]
    refused: list[Refused]

    def people_of_more_than(self, rows: int) -> set[str]:
        """Who has more rows of those to store."""
        counts = collections.Counter(self.person_ids)
        return {person_id for person_id, count in counts.items() if count > rows}

    def refuse(self, items: Collection[int], first_row: int, error: MatcherError) -> None:
        """Move some of what is to store, by its number there, to what is refused."""
        if not items:
            return
        for item in items:
            self.refused.append(Refused(first_row + self.places[item], error.field, error.message))
        kept = sorted(set(range(len(self.places))).difference(items))
        self.places[:] = [self.places[item] for item in kept]
        self.person_ids[:] = [self.person_ids[item] for item in kept]
        self.contents[:] = [self.contents[item] for item in kept]
        self.refused.sort(key=lambda refused: refused.row)


def _check(chunk: Chunk, first_row: int, space: str) -> Checked:
    """Hold every row to the contract's rules. Of equal faces of one person the first counts."""
    in_range = np.all(np.abs(chunk.encodings) <= MAX_VALUE, axis=1)
    contents = encoding_ids(space, chunk.encodings)
    now = datetime.datetime.now(datetime.UTC)
    checked = Checked([], [], [], [])
    seen: set[tuple[str, uuid.UUID]] = set()
    for place, content in enumerate(contents):
        try:
            person_id = _check_row(chunk, place, bool(in_range[place]), now)
        except MatcherError as error:
            checked.refused.append(Refused(first_row + place, error.field, error.message))
            continue
        if (person_id, content) not in seen:
            seen.add((person_id, content))
            checked.places.append(place)
            checked.person_ids.append(person_id)
            checked.contents.append(content)
    return checked


def _check_row(chunk: Chunk, place: int, in_range: bool, now: datetime.datetime) -> str:
    """The row's person. Raises MatcherError naming the column at fault."""
    if not in_range:
        raise EncodingInvalid(
            f"an encoding's values are numbers from {-MAX_VALUE:g} to {MAX_VALUE:g}", field="encodings"
        )
    ids.free_text(chunk.display_names[place], "display_names")
    ids.free_text(chunk.external_refs[place], "external_refs")
    ids.fingerprint(chunk.fingerprints[place], "fingerprints")
    expires = chunk.expire_times[place]
    if expires is not None and expires <= now:
        raise OptionInvalid("the face's time is over", field="expire_times")
    return ids.person_id(chunk.person_ids[place], "person_ids")


def _messages(rows: Sequence[asyncpg.Record]) -> Iterator[list[asyncpg.Record]]:
    """The rows of each message of a page."""
    message: list[asyncpg.Record] = []
    size = 0
    for row in rows:
        texts = (row["person_id"], row["display_name"], row["external_ref"], row["fingerprint"])
        row_bytes = ROW_BYTES + sum(len(text.encode()) for text in texts)
        if message and size + row_bytes > EXPORT_BYTES:
            yield message
            message, size = [], 0
        message.append(row)
        size += row_bytes
    if message:
        yield message


def _chunk(rows: Sequence[asyncpg.Record]) -> Chunk:
    wire = b"".join(row["encoding"][4:] for row in rows)
    vectors = np.frombuffer(wire, ">f4").reshape(-1, DIMENSIONS).astype(np.float32)
    return Chunk(
        vectors,
        [row["person_id"] for row in rows],
        [row["display_name"] for row in rows],
        [row["external_ref"] for row in rows],
        [None if row["expire_time"].year == datetime.MAXYEAR else row["expire_time"] for row in rows],
        [row["fingerprint"] for row in rows],
    )
