"""Makes the sketches that exact scans use: their rotation, and those of the faces that are there already.

Triggers keep the sketches of whatever faces are written later. Writers wait while a batch is filled, some
tens of milliseconds.
"""

import asyncio
import dataclasses
import time

import numpy as np
import numpy.typing as npt
import structlog

from matcher_service.identification import sketches
from matcher_service.postgres.connections.owner import lock_wait
from matcher_service.postgres.driver_errors import LOCK_ERRORS
from matcher_service.postgres.session import Connection, Row, Session
from matcher_service.postgres.vectors import read_vectors, vector_wire

MIN_FACES = 20_000  # a scan of fewer takes a few milliseconds
SHRINK = 0.5  # of MIN_FACES: with fewer, sketches are dropped again
MIN_PERSONS = 2_000  # half of them give the rotation: of fewer, it would be much of each one
MAX_PERSONS = 8_000  # more make it no better

# The share of faces that sketches may leave to be compared, for a probe of somebody who is not enrolled.
# Looking one up costs as much as reading 30 sketches: a scan for 16 probes gains nothing from 1 in 200 on.
MAX_LEFT_SHARE = 0.002
PROBES = 200  # of the measurement of that share
REFIT_GAIN = 0.03  # in distance, by which a new rotation has to be better than the old one

BATCH_FACES = 2_000
LOCK_SECONDS, LOCK_ATTEMPTS, LOCK_PAUSE_SECONDS = 0.05, 20, 0.1  # writers wait behind each attempt

log = structlog.get_logger(__name__)
Vectors = npt.NDArray[np.float32]


@dataclasses.dataclass(frozen=True)
class SketchBuilder:
    """Keeps collections' sketches. Their rotation is checked every `check_seconds`."""

    connection: Connection
    check_seconds: float

    async def update(self, collection_id: str) -> None:
        """Make, finish, check or drop a collection's sketches.

        Raises one of LOCK_ERRORS while a transaction goes on writing faces.
        """
        session = self._session(collection_id)
        policy = await session.row("get_sketch_policy")
        if policy is None:
            return
        exists = policy["has_rotation"] or policy["has_sketches"]
        enough = policy["faces"] >= MIN_FACES * (SHRINK if exists else 1) and policy["persons"] >= MIN_PERSONS
        if not enough:
            if exists:
                await self.drop(collection_id)
        elif policy["sketch_max_distance"] is None:
            await self._build(session, policy)
        elif policy["age_seconds"] >= self.check_seconds and not await self._is_sound(session):
            await self.drop(collection_id)
            await self._build(session, await session.required_row("get_sketch_policy"))

    async def drop(self, collection_id: str) -> None:
        """Have scans read faces, and delete the sketches and their rotation.

        Raises one of LOCK_ERRORS, as `update`.
        """
        session = self._session(collection_id)
        async with self.connection.transaction():
            await self._lock(session)
            await session.execute("drop_rotation")
        await session.execute("delete_sketches")
        log.info("sketches_dropped", collection=collection_id)

    async def _build(self, session: Session, policy: Row) -> None:
        """Make a rotation, unless an interrupted build left one, and fill what is missing."""
        began = time.monotonic()
        vectors = await _draw(session)
        half = len(vectors) // 2
        if half < MIN_PERSONS // 2:
            return  # too many have no face that is found
        if not policy["has_rotation"]:
            if policy["has_sketches"]:  # of an interrupted drop
                await session.execute("delete_sketches")
            await _store(session, sketches.principal_axes(vectors[:half]))
        added = await self._fill(session)
        await session.execute("analyze_sketches")
        distance = greatest_distance(vectors[half:], await _read(session))
        await session.execute("set_sketch_distance", max_distance=distance)
        seconds = round(time.monotonic() - began, 1)
        log.info(
            "sketches_built",
            collection=session.collection_id,
            added=added,
            max_distance=round(distance, 3),
            seconds=seconds,
        )

    async def _fill(self, session: Session) -> int:
        """Add the sketches of all faces that have none, a batch at a time; returns how many."""
        added, last_key = 0, -1
        while (key := await self._next_key(session, last_key)) is not None:
            began = time.monotonic()
            async with self.connection.transaction():
                await self._lock(session)
                added += await session.value("fill_sketches", last_key=last_key, key=key)
            last_key = key
            await asyncio.sleep(time.monotonic() - began)  # as long as writers were kept waiting
        return added

    async def _next_key(self, session: Session, last_key: int) -> int | None:
        key: int | None = await session.value("last_key_to_sketch", last_key=last_key, max_faces=BATCH_FACES)
        return key

    async def _lock(self, session: Session) -> None:
        """Lock writers of faces out, until the transaction ends. Raises one of LOCK_ERRORS."""
        async with lock_wait(self.connection, LOCK_SECONDS):
            for attempt in range(1, LOCK_ATTEMPTS + 1):
                try:
                    async with self.connection.transaction():  # a savepoint
                        await session.execute("lock_sketches")
                        return
                except LOCK_ERRORS:
                    if attempt == LOCK_ATTEMPTS:
                        raise
                await asyncio.sleep(LOCK_PAUSE_SECONDS)

    async def _is_sound(self, session: Session) -> bool:
        """Whether the sketches are complete and as good as new ones.

        If so, measures again up to which distance they are used.
        """
        wrong = await session.required_row("count_wrong_sketches")
        if wrong["missing"] or wrong["orphans"]:
            counts = {name: wrong[name] for name in ("missing", "orphans")}
            log.error("sketches_wrong", collection=session.collection_id, **counts)
            return False
        vectors = await _draw(session)
        half = len(vectors) // 2
        if half < MIN_PERSONS // 2:
            return False
        distance = greatest_distance(vectors[half:], await _read(session))
        best = greatest_distance(vectors[half:], sketches.principal_axes(vectors[:half]))
        if best > distance + REFIT_GAIN:
            log.info("sketches_outdated", collection=session.collection_id, max_distance=round(distance, 3))
            return False
        await session.execute("set_sketch_distance", max_distance=distance)
        return True

    def _session(self, collection_id: str) -> Session:
        return Session(self.connection, collection_id, role="maintenance")


def greatest_distance(vectors: Vectors, axes: Vectors) -> float:
    """The distance up to which sketches leave at most MAX_LEFT_SHARE of the faces, at least 0.

    Args:
        vectors: Shape (n, 128), one face of each of n people: PROBES probes, and faces to compare them with.
        axes: The rotation, of shape (AXES, 128).
    """
    rotated = sketches.rotated(vectors, axes)
    probes, faces = rotated[:PROBES], rotated[PROBES:]
    distances = [np.linalg.norm(faces - probe, axis=1) for probe in probes]
    norm = float(np.linalg.norm(vectors, axis=1).max())
    return max(0.0, float(np.quantile(distances, MAX_LEFT_SHARE)) - sketches.margin(norm))


async def _draw(session: Session) -> Vectors:
    rows = await session.rows("draw_faces", max_persons=MAX_PERSONS)
    return read_vectors([row["encoding"] for row in rows])


async def _read(session: Session) -> Vectors:
    return read_vectors([row["axis"] for row in await session.rows("read_axes")])


async def _store(session: Session, axes: Vectors) -> None:
    await session.execute("add_axes", axes=[vector_wire(axis) for axis in axes])
