"""Reads the tables of deepface in another Postgres, and names the models of other systems' tables.

A system is known by a table with its columns, whatever the table is called: deepface has one for all
models, or with pgvector one for each.
"""

import dataclasses
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from facerec.sources import deepface, postgres, spaces
from facerec.sources.errors import SourceRefused
from facerec.sources.rows import MAX_TEXT_CHARACTERS, Refuse, Row, face

if TYPE_CHECKING:
    import asyncpg

_DEEPFACE: Final = (
    "id",
    "img_name",
    "model_name",
    "detector_backend",
    "aligned",
    "l2_normalized",
    "embedding",
)
_COMPREFACE: Final = ("subject_id", "calculator", "embedding")
_IMMICH: Final = ("faceId", "embedding")
_UNKNOWN: Final = (
    "it has no table of deepface, whose tables alone are known: give --query, which returns person_id and "
    "encoding"
)
_SHOWN_MODELS: Final = 10

# A table of these columns that the user may read, of the schemas in the search path.
_TABLES: Final = """
SELECT format('%I.%I', n.nspname, c.relname) AS name,
       (SELECT a.atttypid::regtype::text FROM pg_attribute a
        WHERE a.attrelid = c.oid AND a.attname = 'embedding') AS type
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm') AND n.nspname = ANY (current_schemas(false))
  AND (SELECT count(*) FROM pg_attribute a
       WHERE a.attrelid = c.oid AND a.attname = ANY ($1) AND NOT a.attisdropped) = cardinality($1)
ORDER BY 1
"""
_MODELS: Final = """
SELECT left(coalesce(model_name, ''), 80) AS model, left(coalesce(detector_backend, ''), 80) AS detector,
       coalesce(aligned, true) AS aligned, coalesce(l2_normalized, false) AS l2_normalized, count(*) AS faces
FROM {table} GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
"""
_OF_MODEL: Final = """
FROM {table}
WHERE model_name = $1 AND detector_backend = $2 AND coalesce(aligned, true) = $3
  AND coalesce(l2_normalized, false) = $4
"""
# Cut, so that a hostile text or array fills no memory; what is cut is refused as too long.
_PHOTOS: Final = f"SELECT DISTINCT left(img_name, {MAX_TEXT_CHARACTERS + 1}) AS name {_OF_MODEL}"
_FACES: Final = (
    f"SELECT left(img_name, {MAX_TEXT_CHARACTERS + 1}) AS name, {{vector}}[1:129] AS embedding "
    f"{_OF_MODEL} ORDER BY id"
)
_PGVECTOR: Final = "(embedding::real[])"
_CALCULATORS: Final = "SELECT DISTINCT left(calculator, 80) AS model FROM {table} ORDER BY 1 LIMIT 11"


@dataclasses.dataclass(frozen=True)
class _Faces:
    """Faces of one table and model; `space` is "" for a model that is not dlib's network."""

    table: str
    vector: str
    model: str
    detector: str
    aligned: bool
    l2_normalized: bool
    faces: int

    @property
    def space(self) -> str:
        return spaces.of_deepface(
            self.model, self.detector, aligned=self.aligned, l2_normalized=self.l2_normalized
        )

    @property
    def values(self) -> tuple[str, str, bool, bool]:
        return self.model, self.detector, self.aligned, self.l2_normalized

    def __str__(self) -> str:
        return f"{self.space or ascii(self.model)[1:-1]} ({self.faces:,} faces)"


async def rows(url: str, space: str, refuse: Refuse) -> AsyncIterator[Row]:
    """The faces in deepface's tables, of one space: `space`, or the only one in the tables if it is "".

    Raises SourceRefused, also for tables of a system whose vectors are not of dlib's network, with their
    models.
    """
    number = 0
    async with postgres.snapshot(url, lambda: f"row {number + 1}" if number else "") as connection:
        chosen = await _chosen(connection, space)
        photos = deepface.Photos(())
        for each in chosen:
            names = _PHOTOS.format(table=each.table)
            async for record in connection.cursor(names, *each.values, prefetch=postgres.PREFETCH_ROWS):
                photos.add(record["name"])
        for each in chosen:
            faces = _FACES.format(table=each.table, vector=each.vector)
            async for record in connection.cursor(faces, *each.values, prefetch=postgres.PREFETCH_ROWS):
                number += 1
                name = record["name"]
                known = {"person_id": photos.person(name), "external_ref": deepface.reference(name)}
                if row := face(f"row {number}", record["embedding"], known, refuse, space=each.space):
                    yield row


async def _chosen(connection: "asyncpg.Connection[Any]", space: str) -> Sequence[_Faces]:
    """The tables' faces of one space. Raises SourceRefused where there are none, or of several."""
    tables = await connection.fetch(_TABLES, _DEEPFACE)
    if not tables:
        raise SourceRefused(await _other_system(connection) or _UNKNOWN)
    found: list[_Faces] = []
    for table in tables:
        vector = "embedding" if table["type"].endswith("[]") else _PGVECTOR
        models = await connection.fetch(_MODELS.format(table=table["name"]))
        found.extend(_Faces(table["name"], vector, **model) for model in models)
    wanted = {each.space for each in found} if not space else {space}
    chosen = [each for each in found if each.space in wanted - {""}]
    if len(wanted) == 1 and chosen:
        return chosen
    if not found:
        raise SourceRefused("deepface's tables are empty")
    shown = "; ".join(map(str, found[:_SHOWN_MODELS]))
    if not any(each.space for each in found):
        raise SourceRefused(deepface.refusal(shown))
    raise SourceRefused(f"it has vectors of {shown}: choose a space of dlib's network by --space")


async def _other_system(connection: "asyncpg.Connection[Any]") -> str:
    """Why another known system's vectors are not imported; "" where the database is of none."""
    if tables := await connection.fetch(_TABLES, _COMPREFACE):
        calculators = await connection.fetch(_CALCULATORS.format(table=tables[0][0]))
        models = ", ".join(ascii(record["model"])[1:-1] for record in calculators)
        return f"it is of CompreFace, and {deepface.refusal(models or 'no model yet')}"
    if await connection.fetch(_TABLES, _IMMICH):
        return f"it is of immich, and {deepface.refusal('an InsightFace model')}"
    return ""
