"""A collection's error rates, measured on its own people: distances in SQL, rates from their counts."""

import dataclasses
import datetime
import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import asyncpg
import numpy as np

from matcher_service import calibration
from matcher_service.audit.changes import Action, Change, note
from matcher_service.calibration import BIN, BINS, MIN_PERSONS, Counts, Point, Sample
from matcher_service.database import Connection, Database
from matcher_service.database_errors import tried_anew
from matcher_service.errors import CalibrationNotFound, CalibrationUnsupported, CollectionNotFound
from matcher_service.queries import of_collection

PAIRS_A_PERSON = 10  # so that nobody's many photos weigh more than others' few
PROBES_A_STATEMENT = 100  # a tenth of a second: between two of them others have their turn
SUSPECTS = 20


@dataclasses.dataclass(frozen=True)
class Target:
    """What is asked for: a false accept rate, false hits a search, and the most persons to compare."""

    far: float = 1e-3
    false_hits: float = 0.01
    persons: int = 1000


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
    """Measures on the connections of exact scans, in short statements."""

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
            drawn, impostor = await _impostors(connection, queries, collection_id, target.persons)
            _check_support(len(drawn), target)
            genuine = await _genuine(connection, queries, collection_id, target.persons)
            sample = Sample(genuine, impostor)
            curve = calibration.curve(sample)
            verify = calibration.largest_within(curve, target.far)
            if verify is None:
                raise CalibrationUnsupported(
                    f"more than {target.far:g} of the pairs of different persons are all but the same face: "
                    "the same people are enrolled under several ids",
                )
            identify, needs = _identify(curve, sample, faces, target)
            suspects = await _suspects(connection, queries, collection_id, drawn, sample)
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


async def _impostors(
    connection: Connection, queries: Mapping[str, str], collection_id: str, persons: int
) -> tuple[list[uuid.UUID], Counts]:
    """Faces of different persons, and how far each lies from the others."""
    drawn = [
        row["face_id"] for row in await connection.fetch(queries["draw_impostors"], collection_id, persons)
    ]
    place = {face_id: number for number, face_id in enumerate(drawn)}
    counts = np.zeros((len(drawn), BINS), np.int64)
    for first in range(0, len(drawn), PROBES_A_STATEMENT):
        some = drawn[first : first + PROBES_A_STATEMENT]
        rows = await connection.fetch(queries["measure_impostors"], collection_id, drawn, some, BIN, BINS)
        for row in rows:
            counts[place[row["face_id"]], row["bin"]] = row["pairs"]
    return drawn, counts


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


def _check_support(persons: int, target: Target) -> None:
    """Raises CalibrationUnsupported where so many persons have too few pairs for the target."""
    have, need = persons * (persons - 1) // 2, calibration.needed_pairs(target.far)
    needed_persons = max(MIN_PERSONS, calibration.needed_persons(need))
    if persons >= needed_persons:
        return
    raise CalibrationUnsupported(
        f"a false accept rate of {target.far:g} takes {need} pairs of different persons, {needed_persons} "
        f"persons, and {persons} were compared, {have} pairs: ask for a larger rate, enroll more people, or "
        "raise max_persons",
        metadata={
            "pairs": str(have),
            "needed_pairs": str(need),
            "persons": str(persons),
            "needed_persons": str(needed_persons),
        },
    )


def _identify(curve: Sequence[Point], sample: Sample, faces: int, target: Target) -> tuple[Point | None, str]:
    """The threshold for searches, or what it takes to tell one."""
    most_far = min(1.0, target.false_hits / max(1, faces))
    need = calibration.needed_pairs(most_far)
    if sample.impostor_pairs >= need:
        return calibration.largest_within(curve, most_far), ""
    persons = calibration.needed_persons(need)
    return None, (
        f"{target.false_hits:g} false hits a search among {faces} faces are a false accept rate of "
        f"{most_far:.2g}, which takes {need} pairs of different persons, {persons} persons; "
        f"{sample.impostor_pairs} were measured"
    )


async def _suspects(
    connection: Connection,
    queries: Mapping[str, str],
    collection_id: str,
    drawn: Sequence[uuid.UUID],
    sample: Sample,
) -> list[Suspect]:
    """Pairs of different persons as near as half of the genuine pairs are; nobody where none can be told."""
    if len(sample.genuine) < MIN_PERSONS:
        return []
    shares = np.cumsum(sample.genuine.sum(axis=0)) / sample.genuine_pairs
    usual = float(BIN * (1 + np.searchsorted(shares, 0.5)))
    if not sample.impostor[:, : round(usual / BIN)].any():
        return []
    rows = await connection.fetch(queries["list_suspects"], collection_id, drawn, usual, SUSPECTS)
    return [Suspect(row["a"], row["b"], row["distance"]) for row in rows]


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
        "impostor_persons": len(sample.impostor),
        "impostor_counts": (sample.impostor.sum(axis=0) // 2).tolist(),
        "verify": dataclasses.asdict(verify),
        "identify": dataclasses.asdict(identify) if identify else None,
        "far": [point.far.value for point in curve],
        "far_high": [point.far.high for point in curve],
    }
