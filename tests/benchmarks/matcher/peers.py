"""Alternatives to facerec: a KNN pickle, numpy, FAISS, and SQL over float8[]."""

import pickle
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import asyncpg
import numpy as np

from tests.benchmarks.matcher import exact
from tests.benchmarks.vectors import Faces, Vectors


class Peer(Protocol):
    """An alternative to facerec that keeps faces on one machine."""

    name: str

    def who(self, face: Vectors) -> int:
        """The person whose face is nearest."""
        ...

    def add(self, person: int, face: Vectors) -> None: ...

    def delete(self, person: int) -> None: ...

    def bytes_kept(self) -> int:
        """What every server holds in memory."""
        ...


class KnnPickle:
    """The usual first system: a KNN classifier of all faces, trained again at every change and pickled.

    As face_recognition's example makes it: a ball tree, weights by distance.
    """

    name = "KNN pickle"

    def __init__(self, faces: Faces, folder: Path) -> None:
        self._faces = faces
        self._path = folder / "knn.pickle"
        self._train()

    def _train(self) -> None:
        from sklearn.neighbors import KNeighborsClassifier

        model = KNeighborsClassifier(n_neighbors=1, algorithm="ball_tree", weights="distance")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # it warns of so many persons for so few faces
            model.fit(self._faces.encodings, self._faces.people)
        with self._path.open("wb") as file:
            pickle.dump(model, file)
        self._model: Any = model

    def who(self, face: Vectors) -> int:
        # kneighbors, as the example asks it for the distance too; predict would make a column a person.
        _, rows = self._model.kneighbors(face[None])
        return int(self._faces.people[rows[0, 0]])

    def add(self, person: int, face: Vectors) -> None:
        people = np.append(self._faces.people, person)
        self._faces = Faces(people, np.concatenate([self._faces.encodings, face[None]]))
        self._train()

    def delete(self, person: int) -> None:
        kept = self._faces.people != person
        self._faces = Faces(self._faces.people[kept], self._faces.encodings[kept])
        self._train()

    def bytes_kept(self) -> int:
        return self._path.stat().st_size


class Numpy:
    """An array of encodings, scanned as face_recognition's face_distance does."""

    name = "numpy"

    def __init__(self, faces: Faces) -> None:
        self._faces = faces

    def who(self, face: Vectors) -> int:
        return int(self._faces.people[exact.scan(self._faces.encodings, face).argmin()])

    def add(self, person: int, face: Vectors) -> None:
        people = np.append(self._faces.people, person)
        self._faces = Faces(people, np.concatenate([self._faces.encodings, face[None]]))

    def delete(self, person: int) -> None:
        kept = self._faces.people != person
        self._faces = Faces(self._faces.people[kept], self._faces.encodings[kept])

    def bytes_kept(self) -> int:
        return self._faces.encodings.nbytes + self._faces.people.nbytes


class FaissFlat:
    """FAISS's exact index of one thread, with the person as the face's id."""

    name = "FAISS flat"

    def __init__(self, faces: Faces) -> None:
        import faiss

        faiss.omp_set_num_threads(1)
        self._index: Any = faiss.IndexIDMap(faiss.IndexFlatL2(128))
        self._index.add_with_ids(faces.encodings, faces.people)

    def who(self, face: Vectors) -> int:
        _, people = self._index.search(face[None], 1)
        return int(people[0, 0])

    def search(self, faces: Vectors) -> None:
        """Find the nearest person of each of several faces."""
        self._index.search(faces, 1)

    def add(self, person: int, face: Vectors) -> None:
        self._index.add_with_ids(face[None], np.array([person]))

    def delete(self, person: int) -> None:
        self._index.remove_ids(np.array([person]))

    def bytes_kept(self) -> int:
        return int(self._index.ntotal) * (128 * 4 + 8)


class PlainSql:
    """Postgres without pgvector: float8[] and a distance written in SQL."""

    name = "SQL float8[]"
    SCAN = """
        SELECT person FROM plain
        ORDER BY sqrt((SELECT sum((a - b) ^ 2) FROM unnest(encoding, $1::float8[]) AS pair(a, b)))
        LIMIT 1"""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection

    @classmethod
    async def filled(cls, connection: asyncpg.Connection, faces: Faces) -> "PlainSql":
        await connection.execute("CREATE TEMP TABLE plain (person bigint, encoding float8[])")
        records = [(int(p), e.tolist()) for p, e in zip(faces.people, faces.encodings, strict=True)]
        await connection.copy_records_to_table("plain", records=records)
        await connection.execute("CREATE INDEX ON plain (person); ANALYZE plain")
        return cls(connection)

    async def who(self, face: Vectors) -> int:
        return int(await self._connection.fetchval(self.SCAN, face.tolist()))

    async def add(self, person: int, face: Vectors) -> None:
        await self._connection.execute("INSERT INTO plain VALUES ($1, $2)", person, face.tolist())

    async def delete(self, person: int) -> None:
        await self._connection.execute("DELETE FROM plain WHERE person = $1", person)

    async def bytes_kept(self) -> int:
        return int(await self._connection.fetchval("SELECT pg_total_relation_size('plain')"))


def took(work: Callable[[], object]) -> float:
    """How long it took, in seconds."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
