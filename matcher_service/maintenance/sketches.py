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
MIN_PERSONS = 2_000  # half of them give the rotation: of fewer, it would be much of each one
SHRINK = 0.5  # of both: with fewer, sketches are dropped again
MAX_PERSONS = 8_000  # more make it no better

# The share of faces that sketches may leave to be compared, for a probe of somebody who is not enrolled.
# Looking one up costs as much as reading 30 sketches: a scan for 16 probes gains nothing from 1 in 200 on.
MAX_LEFT_SHARE = 0.002
PROBES = 200  # of the measurement of that share
NO_DISTANCE = -1.0  # null sketches alone are more than that share
REFIT_GAIN = 0.03  # in distance, by which a new rotation has to be better than the old one

BATCH_FACES = 2_000
LOCK_SECONDS = (0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0)  # writers wait behind each attempt, and not between them

log = structlog.get_logger(__name__)
Vectors = npt.NDArray[np.float32]


@dataclasses.dataclass(frozen=True)
class SketchBuilder:
    """Keeps collections' sketches. They are checked every `check_seconds`."""

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
        least = SHRINK if exists else 1
        if policy["faces"] < MIN_FACES * least or policy["persons"] < MIN_PERSONS * least:
            if exists:
                await self.drop(collection_id)
        elif policy["has_rotation"] and not policy["has_triggers"]:
            # As after a restore of data alone: faces may have been written without sketches.
            log.warning("sketches_without_triggers", collection=collection_id)
            await self._rebuild(session)
        elif policy["sketch_max_distance"] is None:
            if policy["has_rotation"] or self._is_due(policy):
                await self._build(session, has_rotation=policy["has_rotation"])
        elif policy["null_sketches"] > MAX_LEFT_SHARE * policy["faces"]:
            if policy["sketch_max_distance"] != NO_DISTANCE:
                await session.execute("set_sketch_distance", max_distance=NO_DISTANCE)
        elif self._is_due(policy) and not await self._is_sound(session):
            await self._rebuild(session)

    def _is_due(self, policy: Row) -> bool:
        return policy["age_seconds"] is None or policy["age_seconds"] >= self.check_seconds

    async def drop(self, collection_id: str) -> None:
        """Have scans read faces, and delete the sketches and their rotation.

        Raises one of LOCK_ERRORS, as `update`.
        """
        session = self._session(collection_id)
        async with session.transaction():
            await session.execute("unset_sketch_distance")
            await _lock(session, "lock_faces")
            await detach(session)
        await self.delete(collection_id)

    async def delete(self, collection_id: str) -> None:
        """Delete the sketches, after `detach` and once no scan uses them."""
        session = self._session(collection_id)
        await session.execute("delete_sketches")
        await session.execute("vacuum_sketches")
        log.info("sketches_dropped", collection=collection_id)

    async def _rebuild(self, session: Session) -> None:
        await self.drop(session.collection_id)
        await self._build(session, has_rotation=False)

    async def _build(self, session: Session, *, has_rotation: bool) -> None:
        """Make a rotation, unless an interrupted build left one, and fill what is missing."""
        began = time.monotonic()
        vectors = await _draw(session)
        half = len(vectors) // 2
        if half < MIN_PERSONS // 2:  # too many have no face that is found: tried again later
            await session.execute("set_sketch_distance", max_distance=None)
            return
        if not has_rotation:
            axes = sketches.principal_axes(vectors[:half])
            async with session.transaction():
                # Once it is held, all who write faces have ended, or will find the triggers.
                await _lock(session, "lock_faces")
                await session.execute("add_sketch_triggers")
                await session.execute("add_axes", axes=[vector_wire(axis) for axis in axes])
        added = await self._fill(session)
        await session.execute("vacuum_sketches")
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
            async with session.transaction():
                await _lock(session, "lock_sketches")
                added += await session.value("fill_sketches", last_key=last_key, key=key)
            last_key = key
            await asyncio.sleep(time.monotonic() - began)  # as long as writers were kept waiting
        return added

    async def _next_key(self, session: Session, last_key: int) -> int | None:
        key: int | None = await session.value("last_key_to_sketch", last_key=last_key, max_faces=BATCH_FACES)
        return key

    async def _is_sound(self, session: Session) -> bool:
        """Whether the sketches are complete and as good as new ones.

        If so, measures again up to which distance they are used.
        """
        wrong = dict(await session.required_row("count_wrong_sketches"))
        if any(wrong.values()):
            log.error("sketches_wrong", collection=session.collection_id, **wrong)
            return False
        vectors = await _draw(session)
        half = len(vectors) // 2
        if half < MIN_PERSONS * SHRINK // 2:
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


async def detach(session: Session) -> None:
    """Delete the rotation, in a transaction that has locked the faces: nobody adds or uses sketches then."""
    await session.execute("unset_sketch_distance")
    await session.execute("delete_rotation")


def greatest_distance(vectors: Vectors, axes: Vectors) -> float:
    """The distance up to which sketches leave at most MAX_LEFT_SHARE of the faces, or NO_DISTANCE.

    Args:
        vectors: Shape (n, 128), one face of each of n people: PROBES probes, and faces to compare them with.
        axes: The rotation, of shape (AXES, 128).
    """
    norms = np.linalg.norm(vectors, axis=1)
    sketched = vectors[norms <= sketches.LONGEST]
    left = MAX_LEFT_SHARE - (1 - len(sketched) / len(vectors))  # the others are always left
    if left <= 0:
        return NO_DISTANCE
    rotated = sketches.rotated(sketched, axes)
    probes, faces = rotated[:PROBES], rotated[PROBES:]
    distances = [np.linalg.norm(faces - probe, axis=1) for probe in probes]
    return max(NO_DISTANCE, float(np.quantile(distances, left)) - sketches.margin(sketches.LONGEST))


async def _lock(session: Session, statement: str) -> None:
    """Run a statement that locks writers out, until the transaction ends. Raises one of LOCK_ERRORS."""
    for attempt, seconds in enumerate(LOCK_SECONDS, 1):
        async with lock_wait(session.connection, seconds):
            try:
                async with session.transaction():  # a savepoint
                    await session.execute(statement)
                    return
            except LOCK_ERRORS:
                if attempt == len(LOCK_SECONDS):
                    raise
        await asyncio.sleep(seconds)


async def _draw(session: Session) -> Vectors:
    rows = await session.rows("draw_faces", max_persons=MAX_PERSONS)
    return read_vectors([row["encoding"] for row in rows])


async def _read(session: Session) -> Vectors:
    return read_vectors([row["axis"] for row in await session.rows("read_axes")])
