"""The state of this replica, of what it uses and of what waits, for the people who run it."""

import time

import facerec
from facerec.serving.observability.metrics import CALLS
from matcher_service.domain.status import MatcherStatus
from matcher_service.encoder_client import EncoderClient
from matcher_service.operations.operations import Operations
from matcher_service.postgres.database import Database
from matcher_service.readiness import Readiness

PACKAGE = "facerec.matcher.v1"


class StatusReader:
    """Reads the state from this process, and asks the encoder. It asks no database, so it needs none."""

    def __init__(
        self, readiness: Readiness, database: Database, encoder: EncoderClient, operations: Operations
    ) -> None:
        self._readiness = readiness
        self._database = database
        self._encoder = encoder
        self._operations = operations
        self._started = time.monotonic()

    async def read(self) -> MatcherStatus:
        """The state now; of database, standbys and maintenance as of their last check."""
        encoder = await self._encoder.status()
        return MatcherStatus(
            server_version=facerec.__version__,
            uptime_seconds=time.monotonic() - self._started,
            serving=self._readiness.serving,
            calls_in_flight=CALLS.in_flight(PACKAGE),
            database=self._readiness.database_status(),
            encoder=encoder,
            queues=[*self._database.queues(), self._encoder.queue(), self._operations.queue()],
            standbys=self._database.standbys(),
            maintenance=self._readiness.maintenance,
        )
