"""Expected false positives of a search for an unenrolled probe, by the calibration in force."""

import collections
import dataclasses
import json
import math
import uuid
from collections.abc import Sequence

from matcher_service.calibration.error_rates import BIN
from matcher_service.domain.faces import ExpectedFalsePositives
from matcher_service.postgres.database import Database
from matcher_service.postgres.driver_errors import retried_on_schema_change

CACHED_CALIBRATIONS = 1024  # a calibration never changes, so the cache is never stale


@dataclasses.dataclass(frozen=True)
class Curve:
    """FMR at thresholds of BIN, 2 BIN, ..., with the upper ends of the 95 % intervals."""

    far: Sequence[float]
    far_high: Sequence[float]


class CalibrationCache:
    """Reads the false match rates of stored calibrations (their `evidence`) and caches them."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._curves: collections.OrderedDict[uuid.UUID, Curve | None] = collections.OrderedDict()

    async def expected_false_positives(
        self,
        collection_id: str,
        calibration_id: uuid.UUID | None,
        *,
        threshold: float,
        faces: int,
        max_staleness: float | None = None,
    ) -> ExpectedFalsePositives | None:
        """The FMR at the next larger measured threshold, times the collection's `faces`; None if
        uncalibrated. `max_staleness` is as in `Database.index_session`.

        Raises StoreUnavailable, Overloaded.
        """
        if calibration_id is None:
            return None
        curve = await self._curve(collection_id, calibration_id, max_staleness)
        if curve is None:
            return None
        index = max(0, math.ceil(threshold / BIN - 1e-9) - 1)
        if index >= len(curve.far):
            return ExpectedFalsePositives(float(faces), float(faces))
        return ExpectedFalsePositives(curve.far[index] * faces, curve.far_high[index] * faces)

    @retried_on_schema_change
    async def _curve(
        self, collection_id: str, calibration_id: uuid.UUID, max_staleness: float | None
    ) -> Curve | None:
        if calibration_id not in self._curves:
            lent = self._database.index_session(collection_id, max_staleness=max_staleness)
            async with lent as session:
                text = await session.value("get_evidence", calibration_id=calibration_id)
            if text is None:  # the collection is gone, or this is a standby behind the one that named it
                return None
            evidence = json.loads(text)
            has_curve = "far" in evidence  # older calibrations have no curve
            self._curves[calibration_id] = Curve(evidence["far"], evidence["far_high"]) if has_curve else None
            while len(self._curves) > CACHED_CALIBRATIONS:
                self._curves.popitem(last=False)
        return self._curves[calibration_id]
