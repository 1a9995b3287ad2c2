"""The matcher put together: database, encoder, domain and server."""

import asyncio
import time
from typing import Self

import structlog

from facerec.matcher.v1 import matcher_pb2_grpc
from facerec.serving.server import Server, Service
from matcher_service import metrics
from matcher_service.acceptance import Acceptance
from matcher_service.audit.decisions import DecisionLog
from matcher_service.audit.reading import AuditReader
from matcher_service.calibrating import Calibrator
from matcher_service.catalog import Catalog
from matcher_service.collection_servicer import CollectionServicer
from matcher_service.database import Database
from matcher_service.database_address import why_failed
from matcher_service.encoder_client import EncoderClient
from matcher_service.errors import MatcherError
from matcher_service.evidence import Evidence
from matcher_service.failed_tries import FailedTries
from matcher_service.gallery import Gallery
from matcher_service.matcher import Matcher
from matcher_service.recall import RecallMeter
from matcher_service.reviewing import Reviewer
from matcher_service.roles import COLLECTION_ROLES, MATCHER_LARGE, MATCHER_PROBES, MATCHER_ROLES
from matcher_service.scanning import Scanner
from matcher_service.search import Search
from matcher_service.servicer import MatcherServicer
from matcher_service.settings import MatcherSettings
from matcher_service.store import Store
from matcher_service.transfer import Transfer

MATCHER = "facerec.matcher.v1.MatcherService"
COLLECTIONS = "facerec.matcher.v1.CollectionService"

INDEX_LOOK_SECONDS = 30.0

log = structlog.get_logger(__name__)


class MatcherService:
    """A running matcher: answers from the start, and is SERVING while the schema is at head.

    A database that goes away later leaves it SERVING: every replica shares it, so taking them all out
    of balance would only hide the reason, which calls then carry as STORE_UNAVAILABLE.
    """

    def __init__(self, settings: MatcherSettings) -> None:
        self._settings = settings
        self._database = Database(settings.database_options())
        self._encoder = EncoderClient(
            settings.encoder_address,
            timeout_seconds=settings.encoder_timeout_seconds,
            security=settings.encoder_security(),
            max_images=settings.encoder_max_images,
        )
        max_faces = settings.max_faces_per_person
        store = self._store = Store(self._database, max_faces_per_person=max_faces)
        self._decisions = DecisionLog(self._database, enabled=settings.audit_decisions)
        scanner = Scanner(self._database)
        search = Search(self._database, scanner, scan_apart_above_faces=settings.scan_apart_above_faces)
        transfer = Transfer(
            self._database,
            export_seconds=settings.export_timeout_seconds,
            max_faces_per_person=max_faces,
        )
        tries = FailedTries(store)
        servicer = MatcherServicer(
            Matcher(store, search, self._encoder, Evidence(self._database), self._decisions, tries=tries),
            Gallery(store, Acceptance(search, tries), self._encoder),
            transfer,
        )
        collections = CollectionServicer(
            Catalog(store, self._database),
            Calibrator(self._database),
            RecallMeter(self._database, search, scanner),
            Reviewer(self._database),
            AuditReader(self._database),
        )
        self.server = Server(
            settings.server_options(),
            [
                Service(
                    MATCHER,
                    lambda server: matcher_pb2_grpc.add_MatcherServiceServicer_to_server(servicer, server),
                    MATCHER_ROLES,
                    MATCHER_PROBES,
                    MATCHER_LARGE,
                ),
                Service(
                    COLLECTIONS,
                    lambda server: matcher_pb2_grpc.add_CollectionServiceServicer_to_server(
                        collections, server
                    ),
                    COLLECTION_ROLES,
                ),
            ],
        )
        self.looked = asyncio.Event()  # the schema was looked at once, whatever was found
        self._trouble: str | None = None
        self._indexes_due = 0.0
        self._watch: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listen and begin to watch the schema. Raises StartError."""
        await self.server.start()
        self._decisions.start()
        self._watch = asyncio.create_task(self._keep_watching())

    async def stop(self) -> None:
        """Finish what is in flight and close everything."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
        await self.server.stop()
        await self._decisions.stop()
        await self._encoder.close()
        await self._database.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def _keep_watching(self) -> None:
        while True:
            await self._look()
            self.looked.set()
            await asyncio.sleep(self._settings.schema_check_seconds)

    async def _look(self) -> None:
        try:
            trouble = await self._database.check()
        except MatcherError as error:
            self._note(f"{error.message} ({why_failed(error.__cause__ or error)})")
            return
        except Exception as error:  # whatever it is, the next look may find it gone
            self._note(f"the schema could not be looked at ({type(error).__name__})")
            return
        metrics.SCHEMA.set(not trouble)
        if not trouble:
            await self._look_at_indexes()
        for name in (MATCHER, COLLECTIONS):
            await self.server.set_serving(name, not trouble)
        self._note(trouble)

    async def _look_at_indexes(self) -> None:
        """What maintenance last measured, for the metrics; now and then, as it reads every collection."""
        if time.monotonic() < self._indexes_due:
            return
        self._indexes_due = time.monotonic() + INDEX_LOOK_SECONDS
        indexes, least_recall = await self._store.index_summary()
        metrics.INDEXES.set(indexes)
        metrics.LEAST_RECALL.set(1.0 if least_recall is None else least_recall)

    def _note(self, trouble: str) -> None:
        """Log a change, once."""
        if trouble != self._trouble:
            self._trouble = trouble
            if trouble:
                log.warning("database_unusable", why=trouble)
            else:
                log.info("database_ready")
