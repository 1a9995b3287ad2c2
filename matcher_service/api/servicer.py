"""The servicer of MatcherService, composed of one servicer for each subject."""

from matcher_service.api.decision_servicer import DecisionServicer
from matcher_service.api.person_servicer import PersonServicer
from matcher_service.api.transfer_servicer import TransferServicer
from matcher_service.identification.matcher import Matcher
from matcher_service.persons.enrollment import Enroller
from matcher_service.persons.export import PersonExporter
from matcher_service.persons.persons import PersonService
from matcher_service.transfer.exporter import Exporter
from matcher_service.transfer.importer import Importer


class MatcherServicer(DecisionServicer, PersonServicer, TransferServicer):
    """Answers every RPC of the service."""

    def __init__(
        self,
        *,
        matcher: Matcher,
        enroller: Enroller,
        persons: PersonService,
        person_exporter: PersonExporter,
        importer: Importer,
        exporter: Exporter,
        max_staleness_seconds: float,
    ) -> None:
        DecisionServicer.__init__(self, matcher, max_staleness_seconds=max_staleness_seconds)
        PersonServicer.__init__(self, enroller, persons, person_exporter)
        TransferServicer.__init__(self, importer, exporter, max_staleness_seconds=max_staleness_seconds)
