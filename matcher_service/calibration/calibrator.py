"""Measures a collection's error rates on its own people, from counts of distances."""

import asyncio
import dataclasses
import datetime
import json
import uuid
from collections.abc import Sequence
from typing import Any

import numpy as np

from matcher_service.audit.changes import Action, Change, append_event
from matcher_service.calibration import claim_rates, error_rates, groups
from matcher_service.calibration.claim_rates import ClaimRates
from matcher_service.calibration.drawing import GENUINE_PERSONS, draw, measure_genuine
from matcher_service.calibration.error_rates import BIN, MIN_PERSONS, Counts, Point, Sample
from matcher_service.calibration.group_rates import GroupComparison
from matcher_service.calibration.impostors import ROWS_A_BLOCK, PairCounter
from matcher_service.calibration.search_rates import SearchPoint
from matcher_service.calibration.searches import measure_searches
from matcher_service.calibration.support import Target, check_support, identify_point
from matcher_service.domain.errors import CalibrationNotFound, CalibrationUnsupported
from matcher_service.operations.recording import Record, record_nothing
from matcher_service.postgres.database import YIELD_SECONDS, Database, Session
from matcher_service.postgres.driver_errors import retried_on_schema_change

MAX_LIKELY_DUPLICATES = 20


@dataclasses.dataclass(frozen=True)
class LikelyDuplicatePair:
    """Two persons who are probably one, and the distance between a face of each."""

    a: str
    b: str
    distance: float


@dataclasses.dataclass(frozen=True, eq=False)
class Calibration:
    """The result of a calibration.

    `identify` is None if there are too few pairs to support its target; `identify_needs` then says what to
    do. `searches` are thresholds by FPIR; `groups` is None if no label was given.
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
    likely_duplicates: Sequence[LikelyDuplicatePair]
    searches: Sequence[SearchPoint]
    groups: GroupComparison | None
    scores: Sequence[ClaimRates] = ()


@dataclasses.dataclass(frozen=True)
class Applied:
    """The thresholds before and after, and the rule of ScoreRule after."""

    old_verify: float
    verify: float
    old_identify: float
    identify: float
    score_rule: str


class Calibrator:
    """Measures on a connection of the scan pool, in short statements and blocks of pairs.

    The largest calibration takes 90 MB of memory; the scan pool limits how many run at once.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    @retried_on_schema_change
    async def calibrate(
        self,
        collection_id: str,
        target: Target,
        *,
        group_label: str = "",
        max_staleness: float | None = None,
        record: Record[Calibration] = record_nothing,
    ) -> Calibration:
        """Measure the collection's error rates and store the calibration. Changes nothing else.

        With a `group_label` also those of the people with each value of that label. What is measured may be
        `max_staleness` seconds old, as in `Database.review_session`. `record` is awaited in the transaction
        that stores it.

        Raises CollectionNotFound, StoreUnavailable, Overloaded, and CalibrationUnsupported with the number of
        pairs that it requires, or if nobody has the label or it has too many values.
        """
        async with self._database.review_session(collection_id, max_staleness=max_staleness) as session:
            row = await session.required_row("get_collection")
            faces = row["estimated_faces"]
            sizes = await groups.count_groups(session, group_label) if group_label else {}
            drawn = await draw(session, target.persons)
            check_support(len(drawn.face_ids), target)
            genuine = await measure_genuine(session, min(target.persons, GENUINE_PERSONS))
            counter = PairCounter(
                drawn.vectors, max_distance=_median_genuine_distance(genuine), max_pairs=MAX_LIKELY_DUPLICATES
            )
            for first in range(0, len(drawn.vectors), ROWS_A_BLOCK):
                await self._yield()
                await asyncio.to_thread(counter.count, first)
            sample = Sample(genuine, counter.impostors)
            curve = error_rates.curve(sample)
            verify = error_rates.largest_within(curve, target.fmr)
            if verify is None:
                raise CalibrationUnsupported(
                    f"more than {target.fmr:g} of the pairs of different persons have nearly the same face, "
                    "so people are probably enrolled under several ids: merge those that ListDuplicates "
                    "finds",
                )
            scores: list[ClaimRates] = []
            if target.photos:
                scores, by_rule = await claim_rates.measure(session, self._database.short_requests, target)
                verify = by_rule or verify
            identify, needs = identify_point(curve, sample, faces, target)
            likely_duplicates = await _likely_duplicates(session, drawn.face_ids, counter)
            searches = await measure_searches(session, drawn, faces, target, self._yield)
            by_group = (
                await groups.measure_groups(session, sizes, target, verify.threshold, self._yield)
                if sizes
                else None
            )
        evidence = _evidence(sample, faces, target, curve, (verify, identify))
        evidence["searches"] = [dataclasses.asdict(point) for point in searches]
        evidence["by_group"] = groups.evidence(by_group) if by_group else None
        evidence["scores"] = claim_rates.summary(scores)
        async with self._database.transaction(collection_id) as session:  # the one above may be on a standby
            stored = await session.required_row(
                "add_calibration",
                verify_threshold=verify.threshold,
                identify_threshold=identify.threshold if identify else None,
                score_rule=target.score_rule,
                evidence=json.dumps(evidence),
            )
            calibration = Calibration(
                calibration_id=stored["calibration_id"],
                create_time=stored["create_time"],
                faces=faces,
                target=target,
                sample=sample,
                curve=curve,
                verify=verify,
                identify=identify,
                identify_needs=needs,
                likely_duplicates=likely_duplicates,
                searches=searches,
                groups=by_group,
                scores=scores,
            )
            await record(session, calibration)
        return calibration

    async def _yield(self) -> None:
        """Let short requests go first, between two blocks of pairs or two statements."""
        await self._database.short_requests.wait_until_idle(YIELD_SECONDS)

    @retried_on_schema_change
    async def apply(self, collection_id: str, calibration_id: uuid.UUID) -> Applied:
        """Apply a calibration's thresholds and rule. Raises CollectionNotFound, CalibrationNotFound,
        StoreUnavailable, Overloaded.
        """
        async with self._database.transaction(collection_id) as session:
            row = await session.required_row("apply_calibration", calibration_id=calibration_id)
            if row["new_verify"] is None:
                raise CalibrationNotFound(
                    "the collection has no calibration with this id", field="calibration_id"
                )
            details = {
                "calibration_id": str(calibration_id),
                "verify_threshold": f"{row['old_verify']:g} -> {row['new_verify']:g}",
                "identify_threshold": f"{row['old_identify']:g} -> {row['new_identify']:g}",
            }
            if row["old_rule"] != row["new_rule"]:
                details["score_rule"] = f"{row['old_rule']} -> {row['new_rule']}"
            await append_event(session, Change(Action.APPLY_CALIBRATION, details=details))
        return Applied(
            row["old_verify"], row["new_verify"], row["old_identify"], row["new_identify"], row["new_rule"]
        )


def _median_genuine_distance(genuine: Counts) -> float:
    """The median distance of genuine pairs; -1 if too few people have two faces."""
    if len(genuine) < MIN_PERSONS:
        return -1.0
    shares = np.cumsum(genuine.sum(axis=0)) / genuine.sum()
    return float(BIN * (1 + np.searchsorted(shares, 0.5)))


async def _likely_duplicates(
    session: Session, drawn: Sequence[uuid.UUID], counter: PairCounter
) -> list[LikelyDuplicatePair]:
    """Pairs of different persons within the median distance of genuine pairs; [] if that is unknown."""
    pairs = [(distance, drawn[a], drawn[b]) for distance, a, b in counter.nearest]
    faces = [face_id for _, *two in pairs for face_id in two]
    rows = await session.rows("name_persons_of_faces", face_ids=faces)
    names = {row["face_id"]: row["person_id"] for row in rows}
    return [
        LikelyDuplicatePair(names[a], names[b], distance)
        for distance, a, b in pairs
        if {a, b} <= names.keys()
    ]


def _evidence(
    sample: Sample,
    faces: int,
    target: Target,
    curve: Sequence[Point],
    chosen: tuple[Point, Point | None],
) -> dict[str, Any]:
    """The counts and rates that the thresholds are based on, without any person."""
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
        "far": [point.fmr.value for point in curve],
        "far_high": [point.fmr.high for point in curve],
    }
