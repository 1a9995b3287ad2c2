"""Composes the matcher: database, encoder, domain and server."""

from typing import Self

from facerec.matcher.v1 import matcher_pb2_grpc
from facerec.serving.server.server import Server, Service
from matcher_service.api.collection_servicer import CollectionServicer
from matcher_service.api.roles import COLLECTION_ROLES, MATCHER_LARGE, MATCHER_PROBES, MATCHER_ROLES
from matcher_service.api.servicer import MatcherServicer
from matcher_service.audit.decisions import DecisionLog
from matcher_service.audit.reading import AuditReader
from matcher_service.calibration.calibrator import Calibrator
from matcher_service.calibration.expected_false_positives import CalibrationCache
from matcher_service.collections.repository import CollectionRepository
from matcher_service.duplicates.inconsistent import ConsistencyReviewer
from matcher_service.duplicates.review import Reviewer
from matcher_service.encoder_client import EncoderClient
from matcher_service.identification.exact_scan import ExactScanner
from matcher_service.identification.failed_tries import FailedTries
from matcher_service.identification.matcher import Matcher
from matcher_service.identification.recall import RecallMeter
from matcher_service.identification.repository import DecisionRepository
from matcher_service.identification.search import Search
from matcher_service.operations.operations import Operations
from matcher_service.persons.enrollment import Enroller
from matcher_service.persons.enrollment_checks import EnrollmentChecks
from matcher_service.persons.export import PersonExporter
from matcher_service.persons.persons import PersonService
from matcher_service.persons.repository import PersonRepository
from matcher_service.postgres.database import Database
from matcher_service.readiness import Readiness
from matcher_service.settings import MatcherSettings
from matcher_service.status import StatusReader
from matcher_service.transfer.exporter import Exporter
from matcher_service.transfer.importer import Importer

MATCHER = "facerec.matcher.v1.MatcherService"
COLLECTIONS = "facerec.matcher.v1.CollectionService"


class MatcherService:
    """A running matcher: answers from the start, and is SERVING while the database can be used.

    A replica that cannot reach the database is NOT_SERVING, so that calls go to those that can. Calls that
    reach it nevertheless fail with the reason, as STORE_UNAVAILABLE.
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
        persons = PersonRepository(self._database, max_faces_per_person=max_faces)
        decision_repository = DecisionRepository(self._database, wait_seconds=settings.pool_wait_seconds)
        self._decisions = DecisionLog(self._database, enabled=settings.audit_decisions)
        scanner = ExactScanner(
            self._database,
            wait_seconds=settings.scan_wait_seconds,
            scans=settings.scan_pool_size * max(1, len(settings.read_urls())),
        )
        search = Search(self._database, scanner, scan_apart_above_faces=settings.scan_apart_above_faces)
        tries = FailedTries(decision_repository)
        servicer = MatcherServicer(
            matcher=Matcher(
                decision_repository,
                search,
                self._encoder,
                CalibrationCache(self._database),
                self._decisions,
                tries=tries,
            ),
            enroller=Enroller(persons, EnrollmentChecks(self._database, search, tries), self._encoder),
            persons=PersonService(persons),
            person_exporter=PersonExporter(self._database),
            importer=Importer(self._database, max_faces_per_person=max_faces),
            exporter=Exporter(self._database, export_seconds=settings.export_timeout_seconds),
            max_staleness_seconds=settings.max_staleness_seconds,
        )
        self._operations = Operations(self._database, wait_seconds=settings.pool_wait_seconds)
        self._readiness = Readiness(
            self._database, self._announce, interval_seconds=settings.schema_check_seconds
        )
        self.checked = self._readiness.checked
        collections = CollectionServicer(
            CollectionRepository(self._database),
            Calibrator(self._database),
            RecallMeter(self._database, search, scanner),
            Reviewer(self._database),
            AuditReader(self._database),
            operations=self._operations,
            consistency_reviewer=ConsistencyReviewer(self._database),
            status=StatusReader(self._readiness, self._database, self._encoder, self._operations),
            max_staleness_seconds=settings.max_staleness_seconds,
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

    async def start(self) -> None:
        """Listen, and start checking the database. Raises StartError."""
        await self.server.start()
        self._decisions.start()
        self._readiness.start()

    async def stop(self) -> None:
        """Finish the calls in flight and close everything."""
        await self._readiness.stop()
        await self.server.stop()
        await self._operations.stop()
        await self._decisions.stop()
        await self._encoder.close()
        await self._database.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def _announce(self, usable: bool) -> None:
        for name in (MATCHER, COLLECTIONS):
            await self.server.set_serving(name, usable)
