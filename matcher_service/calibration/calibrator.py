"""A collection's error rates, measured on its own people: rates from counts of distances."""

import asyncio
import dataclasses
import datetime
import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import asyncpg
import numpy as np
import numpy.typing as npt

from matcher_service.audit.changes import Action, Change, note
from matcher_service.calibration import error_rates
from matcher_service.calibration.error_rates import BIN, BINS, MIN_PERSONS, Counts, Point, Sample
from matcher_service.calibration.impostors import ROWS_A_BLOCK, PairCounter
from matcher_service.calibration.support import Target, check_support, identify_point
from matcher_service.domain.errors import CalibrationNotFound, CalibrationUnsupported, CollectionNotFound
from matcher_service.postgres.database import DIMENSIONS, LULL_SECONDS, Connection, Database
from matcher_service.postgres.driver_errors import tried_anew
from matcher_service.postgres.statements import of_collection

PAIRS_A_PERSON = 10  # so that nobody's many photos weigh more than others' few
GENUINE_PERSONS = 4000  # at most: more would narrow no interval that matters, and one statement measures them
VECTORS_A_STATEMENT = 1000
SUSPECTS = 20


@dataclasses.dataclass(frozen=True)
class Suspect:
    """Two persons who are probably one, and how far a face of each lies apart."""

    a: str
    b: str
    distance: float


@dataclasses.dataclass(frozen=True, eq=False)
class Calibration:
    """What was measured; `identify` is None where the pairs can't support its target, which takes what
    `identify_needs` says.
    """

    calibration_id: uuid.UUID
    create_time: datetime.datetime
    faces: int
    target: Target
    sample: Sample
    curve: Sequence[Point]
    verify: Point
    identify: Point | None
    identify_needs: str
    suspects: Sequence[Suspect]


@dataclasses.dataclass(frozen=True)
class Applied:
    """The thresholds before and after."""

    old_verify: float
    verify: float
    old_identify: float
    identify: float


class Calibrator:
    """Measures over a connection of exact scans, in short statements and blocks of pairs.

    One of the largest size takes 55 MB, and there are as many at once as such connections are for it.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    @tried_anew
    async def calibrate(self, collection_id: str, target: Target) -> Calibration:
        """Measure the collection and keep what was found. Changes nothing else.

        Raises as Store does, Overloaded, and CalibrationUnsupported with the pairs it would take.
        """
        queries = of_collection(collection_id)
        async with self._database.maintenance_connection() as connection:
            row = await connection.fetchrow(queries["get_collection"], collection_id)
            if row is None:
                raise CollectionNotFound
            faces = row["estimated_faces"]
            drawn, vectors = await _draw(connection, queries, collection_id, target.persons)
            check_support(len(drawn), target)
            genuine_persons = min(target.persons, GENUINE_PERSONS)
            genuine = await _genuine(connection, queries, collection_id, genuine_persons)
            counter = PairCounter(vectors, near=_usual(genuine), most=SUSPECTS)
            for first in range(0, len(vectors), ROWS_A_BLOCK):
                await self._database.traffic.lull(LULL_SECONDS)
                await asyncio.to_thread(counter.count, first)
            sample = Sample(genuine, counter.impostors)
            curve = error_rates.curve(sample)
            verify = error_rates.largest_within(curve, target.far)
            if verify is None:
                raise CalibrationUnsupported(
                    f"more than {target.far:g} of the pairs of different persons are all but the same face: "
                    "the same people are enrolled under several ids",
                )
            identify, needs = identify_point(curve, sample, faces, target)
            suspects = await _suspects(connection, queries, collection_id, drawn, counter)
            kept = await connection.fetchrow(
                queries["add_calibration"],
                collection_id,
                verify.threshold,
                identify.threshold if identify else None,
                json.dumps(_evidence(sample, faces, target, curve, (verify, identify))),
            )
        assert kept is not None
        return Calibration(
            calibration_id=kept["calibration_id"],
            create_time=kept["create_time"],
            faces=faces,
            target=target,
            sample=sample,
            curve=curve,
            verify=verify,
            identify=identify,
            identify_needs=needs,
            suspects=suspects,
        )

    @tried_anew
    async def apply(self, collection_id: str, calibration_id: uuid.UUID) -> Applied:
        """Put a calibration's thresholds in force. Raises as Store does, CalibrationNotFound."""
        queries = of_collection(collection_id)
        async with self._database.connection() as connection, connection.transaction():
            row = await connection.fetchrow(queries["apply_calibration"], collection_id, calibration_id)
            if row is None:
                raise CollectionNotFound
            if row["new_verify"] is None:
                raise CalibrationNotFound(
                    "the collection has no calibration of this id", field="calibration_id"
                )
            details = {
                "calibration_id": str(calibration_id),
                "verify_threshold": f"{row['old_verify']:g} -> {row['new_verify']:g}",
                "identify_threshold": f"{row['old_identify']:g} -> {row['new_identify']:g}",
            }
            await note(connection, queries, collection_id, Change(Action.APPLY_CALIBRATION, details=details))
        return Applied(row["old_verify"], row["new_verify"], row["old_identify"], row["new_identify"])


async def _draw(
    connection: Connection, queries: Mapping[str, str], collection_id: str, persons: int
) -> tuple[list[uuid.UUID], npt.NDArray[np.float32]]:
    """Faces of different persons drawn at random: their ids, and their vectors of shape (n, 128)."""
    rows = await connection.fetch(queries["draw_impostors"], collection_id, persons)
    wanted = [row["face_id"] for row in rows]
    vectors = np.empty((len(wanted), DIMENSIONS), np.float32)
    drawn: list[uuid.UUID] = []
    for first in range(0, len(wanted), VECTORS_A_STATEMENT):
        some = wanted[first : first + VECTORS_A_STATEMENT]
        for row in await connection.fetch(queries["read_drawn"], collection_id, some):
            vectors[len(drawn)] = np.frombuffer(row["encoding"], ">f4", offset=4)
            drawn.append(row["face_id"])
    return drawn, vectors[: len(drawn)]


async def _genuine(
    connection: Connection, queries: Mapping[str, str], collection_id: str, persons: int
) -> Counts:
    rows: list[asyncpg.Record] = await connection.fetch(
        queries["measure_genuine"], collection_id, persons, PAIRS_A_PERSON, BIN, BINS
    )
    place: dict[int, int] = {}
    for row in rows:
        place.setdefault(row["person_key"], len(place))
    counts = np.zeros((len(place), BINS), np.int64)
    for row in rows:
        counts[place[row["person_key"]], row["bin"]] = row["pairs"]
    return counts


def _usual(genuine: Counts) -> float:
    """The distance that half of the genuine pairs are within; -1 where too few people have two faces."""
    if len(genuine) < MIN_PERSONS:
        return -1.0
    shares = np.cumsum(genuine.sum(axis=0)) / genuine.sum()
    return float(BIN * (1 + np.searchsorted(shares, 0.5)))


async def _suspects(
    connection: Connection,
    queries: Mapping[str, str],
    collection_id: str,
    drawn: Sequence[uuid.UUID],
    counter: PairCounter,
) -> list[Suspect]:
    """Pairs of different persons as near as half of the genuine pairs are; nobody where none can be told."""
    pairs = [(distance, drawn[a], drawn[b]) for distance, a, b in counter.nearest]
    faces = [face_id for _, *two in pairs for face_id in two]
    rows = await connection.fetch(queries["name_suspects"], collection_id, faces)
    names = {row["face_id"]: row["person_id"] for row in rows}
    return [Suspect(names[a], names[b], distance) for distance, a, b in pairs if {a, b} <= names.keys()]


def _evidence(
    sample: Sample,
    faces: int,
    target: Target,
    curve: Sequence[Point],
    chosen: tuple[Point, Point | None],
) -> dict[str, Any]:
    """What the thresholds rest on, without anybody in it."""
    verify, identify = chosen
    return {
        "faces": faces,
        "target": dataclasses.asdict(target),
        "genuine_persons": len(sample.genuine),
        "genuine_counts": sample.genuine.sum(axis=0).tolist(),
        "impostor_persons": sample.impostor.persons,
        "impostor_counts": sample.impostor.pairs.tolist(),
        "verify": dataclasses.asdict(verify),
        "identify": dataclasses.asdict(identify) if identify else None,
        "far": [point.far.value for point in curve],
        "far_high": [point.far.high for point in curve],
    }
