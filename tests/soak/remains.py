"""Searches the files of a Postgres cluster, except the write-ahead log, for personal data."""

import asyncio
import collections
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import asyncpg
import numpy as np
import numpy.typing as npt

KEY_BYTES = 8
_LEFT_OUT = ("pg_wal", "postgresql-")  # the log, and a copy of the programs


@dataclasses.dataclass(frozen=True)
class Needle:
    """Bytes that tell of a person, and what they are: an id, a vector, a hash."""

    what: str
    person_id: str
    text: bytes

    def __post_init__(self) -> None:
        assert len(self.text) >= KEY_BYTES, self


async def needles(connection: asyncpg.Connection, person_ids: Sequence[str]) -> list[Needle]:
    """What the tables hold of persons, as it may lie on disk. The connection is a superuser's."""
    people = await connection.fetch(
        "SELECT person_id, person_id AS id, display_name AS name, uuid_send(audit_key) AS audit_key,"
        " (SELECT lexeme FROM unnest(facerec.search_words('', display_name)) ORDER BY length(lexeme) DESC"
        " LIMIT 1) AS word,"
        " (SELECT max(value) FROM jsonb_each_text(labels)) AS label, metadata ->> 'note' AS metadata,"
        " centroid::float4[] AS centroid, left(centroid::text, 32) AS centroid_text"
        " FROM facerec.person WHERE person_id = ANY ($1)",
        person_ids,
    )
    faces = await connection.fetch(
        "SELECT p.person_id, uuid_send(f.face_id) AS face_id, uuid_send(f.content_id) AS content_id,"
        " f.face_id::text AS face_id_text, f.external_ref AS reference, f.encoding::float4[] AS encoding,"
        " left(f.encoding::text, 32) AS encoding_text, f.is_center, f.quality, s.sketch::float4[] AS sketch"
        " FROM facerec.face f JOIN facerec.person p USING (person_key)"
        " LEFT JOIN facerec.sketch s USING (person_key, content_id) WHERE p.person_id = ANY ($1)",
        person_ids,
    )
    axes = await connection.fetch(
        "SELECT axis::float4[] AS axis FROM facerec.rotation ORDER BY number LIMIT 8"
    )
    found = [
        Needle("axis", "everybody", np.array(row["axis"], np.float32).astype("<f4").tobytes()[64:128])
        for row in axes
    ]
    for row in people:
        found += _texts(row, "id", "name", "word", "label", "metadata", "audit_key", "centroid_text")
        mean = np.array(row["centroid"], np.float32)
        found.append(Needle("centroid", row["person_id"], mean.astype("<f4").tobytes()[64:128]))
        found.append(Needle("half centroid", row["person_id"], mean[:64].astype("<f2").tobytes()[32:64]))
    for row in faces:
        found += _texts(row, "face_id", "content_id", "face_id_text", "reference", "encoding_text", "quality")
        vector = np.array(row["encoding"], np.float32)
        found.append(Needle("encoding", row["person_id"], vector.astype("<f4").tobytes()[64:128]))
        if row["is_center"]:
            found.append(
                Needle("half encoding", row["person_id"], vector[:64].astype("<f2").tobytes()[32:64])
            )
        if row["sketch"] is not None:
            sketch = np.array(row["sketch"], np.float32)
            found.append(Needle("sketch", row["person_id"], sketch.astype("<f2").tobytes()[32:64]))
    return found


def _texts(row: asyncpg.Record, *names: str) -> Iterator[Needle]:
    for name in names:
        value = row[name]
        text = value.encode() if isinstance(value, str) else value
        if text:
            yield Needle(name, str(row["person_id"]), text)


@dataclasses.dataclass(frozen=True)
class Remains:
    """How many persons were found, by file (a relation's name where it is one's) and by what is theirs."""

    persons: Mapping[tuple[str, str], int]
    files: int
    scanned_bytes: int

    def __str__(self) -> str:
        found = ", ".join(f"{what} of {count} in {file}" for (file, what), count in self.persons.items())
        return f"{found or 'nothing'} ({self.files} files, {self.scanned_bytes / 1e6:.0f} MB)"


async def search(url: str, folder: Path, wanted: Sequence[Needle]) -> Remains:
    """Look for needles in every file below a data folder. The URL is a superuser's of its server."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("CHECKPOINT")  # what is in memory is in the files then, and as new
        rows = await connection.fetch(
            "SELECT c.relname, pg_relation_filepath(c.oid) AS path FROM pg_class c"
            " WHERE pg_relation_filepath(c.oid) IS NOT NULL"
        )
    finally:
        await connection.close()
    names = {row["path"]: row["relname"] for row in rows}
    return await asyncio.to_thread(_search_files, folder, Finder(wanted), names)


def _search_files(folder: Path, finder: "Finder", names: Mapping[str, str]) -> Remains:
    persons: dict[tuple[str, str], set[str]] = collections.defaultdict(set)
    files = scanned = 0
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        if not path.is_file() or any(part.startswith(_LEFT_OUT) for part in parts):
            continue
        data = path.read_bytes()
        files, scanned = files + 1, scanned + len(data)
        for needle in finder.find(data):
            persons[_file_name(parts, names), needle.what].add(needle.person_id)
    assert files > 100
    return Remains({key: len(found) for key, found in sorted(persons.items())}, files, scanned)


def _file_name(parts: Sequence[str], names: Mapping[str, str]) -> str:
    """A relation's name, without the hash of its collection, or the path."""
    relative = "/".join(parts[parts.index("base") :]) if "base" in parts else "/".join(parts)
    name = names.get(relative.partition(".")[0].partition("_")[0], relative)
    return name if name == relative else name[:12]


class Finder:
    """Finds many needles in bytes, at any place: by their last 8 bytes, then whole."""

    def __init__(self, wanted: Sequence[Needle]) -> None:
        self._needles: dict[int, list[Needle]] = collections.defaultdict(list)
        for needle in wanted:
            self._needles[int.from_bytes(needle.text[-KEY_BYTES:], "little")].append(needle)
        self._keys = np.array(sorted(self._needles), np.uint64)
        self._ends = np.zeros(1 << 16, bool)  # most places are ruled out by two bytes
        self._ends[self._keys & np.uint64(0xFFFF)] = True

    def find(self, data: bytes) -> Iterator[Needle]:
        """Every needle of each place where one is."""
        for offset in range(min(KEY_BYTES, len(data) - KEY_BYTES + 1)):
            count = (len(data) - offset) // KEY_BYTES
            words = np.frombuffer(data, "<u8", count, offset)
            places = np.flatnonzero(self._ends[words & np.uint64(0xFFFF)])
            for place in places[np.isin(words[places], self._keys)]:
                end = offset + KEY_BYTES * (int(place) + 1)
                yield from self._at(data, end, words[place])

    def _at(self, data: bytes, end: int, key: npt.NDArray[np.uint64]) -> Iterator[Needle]:
        for needle in self._needles[int(key)]:
            if end >= len(needle.text) and data[end - len(needle.text) : end] == needle.text:
                yield needle
