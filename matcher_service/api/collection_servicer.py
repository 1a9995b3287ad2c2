"""The servicer of CollectionService: checks requests, calls the domain, builds responses."""

from facerec.contract import DEFAULT_SPACE
from facerec.matcher.v1 import audit_pb2 as audit_pb
from facerec.matcher.v1 import calibration_pb2 as calibration_pb
from facerec.matcher.v1 import matcher_pb2 as pb
from facerec.matcher.v1 import review_pb2 as review_pb
from facerec.serving.middleware import call
from facerec.serving.middleware.chain import Context
from matcher_service import caller_rights as rights
from matcher_service.api.converters import audit as audit_messages
from matcher_service.api.converters import calibrations, collections, requests, reviews
from matcher_service.api.repeatable import RepeatableCalls
from matcher_service.api.status_servicer import StatusServicer
from matcher_service.audit.reading import AuditReader
from matcher_service.calibration.calibrator import Calibrator
from matcher_service.collections.repository import CollectionRepository
from matcher_service.domain import ids
from matcher_service.domain.collection import CollectionSettings
from matcher_service.domain.errors import IdInvalid, OptionInvalid
from matcher_service.domain.page_tokens import InconsistentFaceList, PairList
from matcher_service.duplicates.inconsistent import ConsistencyReviewer
from matcher_service.duplicates.review import MAX_DISTANCE, Reviewer
from matcher_service.identification.recall import DEFAULT_SAMPLES, MAX_SAMPLES, MIN_SAMPLES, RecallMeter
from matcher_service.operations.operations import Operations


class CollectionServicer(StatusServicer):
    """Answers every RPC of the service."""

    def __init__(
        self,
        repository: CollectionRepository,
        calibrator: Calibrator,
        meter: RecallMeter,
        reviewer: Reviewer,
        audit: AuditReader,
        *,
        operations: Operations,
        consistency_reviewer: ConsistencyReviewer,
        max_staleness_seconds: float,
    ) -> None:
        self._collections = repository
        self._calibrator = calibrator
        self._meter = meter
        self._reviewer = reviewer
        self._consistency_reviewer = consistency_reviewer
        self._audit = audit
        self._calls = RepeatableCalls(operations)
        self._max_staleness_seconds = max_staleness_seconds

    async def CreateCollection(
        self, request: pb.CreateCollectionRequest, context: Context
    ) -> pb.CreateCollectionResponse:
        """Add a collection."""
        # Thresholds need no check: a new collection has no face whose distance they could reveal, and to move
        # them later requires the right `scores`.
        collection = await self._collections.create(
            _required_collection_id(request.collection_id),
            requests.space(request.space, "space") or DEFAULT_SPACE,
            collections.settings(request.settings),
        )
        return pb.CreateCollectionResponse(collection=collections.collection_message(collection))

    async def GetCollection(
        self, request: pb.GetCollectionRequest, context: Context
    ) -> pb.GetCollectionResponse:
        """Read a collection."""
        collection = await self._collections.get(ids.collection_id(request.collection_id))
        return pb.GetCollectionResponse(collection=collections.collection_message(collection))

    async def ListCollections(
        self, request: pb.ListCollectionsRequest, context: Context
    ) -> pb.ListCollectionsResponse:
        """Read a page of collections."""
        page, token = await self._collections.list(ids.page_size(request.page_size), request.page_token)
        messages = [collections.collection_message(collection) for collection in page]
        return pb.ListCollectionsResponse(collections=messages, next_page_token=token)

    async def UpdateCollection(
        self, request: pb.UpdateCollectionRequest, context: Context
    ) -> pb.UpdateCollectionResponse:
        """Change a collection."""
        collection_id = ids.collection_id(request.collection_id)
        settings = collections.settings(request.settings)
        if settings == CollectionSettings():
            raise OptionInvalid("the request sets no setting: set at least one", field="settings")
        _check_may_set_thresholds(request.settings)
        collection = await self._collections.update(collection_id, settings)
        return pb.UpdateCollectionResponse(collection=collections.collection_message(collection))

    async def DeleteCollection(
        self, request: pb.DeleteCollectionRequest, context: Context
    ) -> pb.DeleteCollectionResponse:
        """Erase a collection."""
        collection_id = _required_collection_id(request.collection_id)
        return await self._calls.answer(
            request,
            collection_id,
            lambda record: self._collections.delete(collection_id, force=request.force, record=record),
            pb.DeleteCollectionResponse,
            collections.erasure_message,
        )

    async def Calibrate(
        self, request: calibration_pb.CalibrateRequest, context: Context
    ) -> calibration_pb.CalibrateResponse:
        """Measure a collection's error rates."""
        rights.check_may_see_scores("collection_id")
        collection_id = ids.collection_id(request.collection_id)
        target, max_staleness = calibrations.target(request), self._max_staleness(request)
        group_label = calibrations.group_label(request)
        return await self._calls.answer(
            request,
            collection_id,
            lambda record: self._calibrator.calibrate(
                collection_id, target, group_label=group_label, max_staleness=max_staleness, record=record
            ),
            calibration_pb.CalibrateResponse,
            calibrations.stored_message if request.request_id else calibrations.calibration_message,
        )

    async def ApplyCalibration(
        self, request: calibration_pb.ApplyCalibrationRequest, context: Context
    ) -> calibration_pb.ApplyCalibrationResponse:
        """Apply a calibration's thresholds."""
        rights.check_may_see_scores("calibration_id")
        applied = await self._calibrator.apply(
            ids.collection_id(request.collection_id), ids.parse_uuid(request.calibration_id, "calibration_id")
        )
        return calibrations.applied_message(applied)

    async def MeasureRecall(
        self, request: review_pb.MeasureRecallRequest, context: Context
    ) -> review_pb.MeasureRecallResponse:
        """Compare searches by index with exact ones."""
        rights.check_may_see_scores("collection_id")
        collection_id = ids.collection_id(request.collection_id)
        samples = ids.count(request.samples or DEFAULT_SAMPLES, "samples", MIN_SAMPLES, MAX_SAMPLES)
        max_staleness = self._max_staleness(request)
        return await self._calls.answer(
            request,
            collection_id,
            lambda record: self._meter.measure(
                collection_id, samples, max_staleness=max_staleness, record=record
            ),
            review_pb.MeasureRecallResponse,
            reviews.recall_message,
        )

    async def ListDuplicates(
        self, request: review_pb.ListDuplicatesRequest, context: Context
    ) -> review_pb.ListDuplicatesResponse:
        """Read a page of likely duplicate pairs."""
        rights.check_may_see_scores("")
        if request.HasField("max_distance"):
            rights.check_may_see_scores("max_distance")
        listed = PairList(
            ids.collection_id(request.collection_id), _max_distance(request), request.include_dismissed
        )
        page = await self._reviewer.list(
            listed,
            ids.page_size(request.page_size),
            request.page_token,
            scores=call.may_see_scores(),
            max_staleness=self._max_staleness(request),
        )
        return reviews.page_message(page)

    async def ListInconsistentFaces(
        self, request: review_pb.ListInconsistentFacesRequest, context: Context
    ) -> review_pb.ListInconsistentFacesResponse:
        """Read a page of inconsistent faces."""
        rights.check_may_see_scores("max_distance" if request.HasField("max_distance") else "")
        listed = InconsistentFaceList(
            ids.collection_id(request.collection_id),
            ids.person_id(request.person_id) if request.person_id else "",
            _max_distance(request),
        )
        page = await self._consistency_reviewer.list(
            listed,
            ids.page_size(request.page_size),
            request.page_token,
            max_staleness=self._max_staleness(request),
        )
        return reviews.inconsistent_faces_message(page)

    async def DismissDuplicate(
        self, request: review_pb.DismissDuplicateRequest, context: Context
    ) -> review_pb.DismissDuplicateResponse:
        """Mark a pair as two different persons."""
        a = ids.person_id(request.person_id_a, "person_id_a")
        b = ids.person_id(request.person_id_b, "person_id_b")
        if a == b:
            raise OptionInvalid(
                "person_id_a and person_id_b are the same person: name two persons", field="person_id_b"
            )
        changed = await self._reviewer.dismiss(
            ids.collection_id(request.collection_id), a, b, restore=request.restore
        )
        return review_pb.DismissDuplicateResponse(changed=changed)

    async def ListAuditEvents(
        self, request: audit_pb.ListAuditEventsRequest, context: Context
    ) -> audit_pb.ListAuditEventsResponse:
        """Read a page of audit events."""
        events, token = await self._audit.list(
            ids.collection_id(request.collection_id),
            audit_messages.event_filter(request),
            ids.page_size(request.page_size),
            request.page_token,
        )
        return audit_pb.ListAuditEventsResponse(
            events=[audit_messages.event_message(event) for event in events], next_page_token=token
        )

    def _max_staleness(
        self,
        request: calibration_pb.CalibrateRequest
        | review_pb.MeasureRecallRequest
        | review_pb.ListDuplicatesRequest
        | review_pb.ListInconsistentFacesRequest,
    ) -> float | None:
        return requests.max_staleness(request.consistency, self._max_staleness_seconds)


def _check_may_set_thresholds(settings: pb.CollectionSettings) -> None:
    """Raises ScoresWithheld: by moving a threshold up and down a caller can find out any distance."""
    for name in ("verify_threshold", "identify_threshold", "duplicate_threshold"):
        if settings.HasField(name):
            rights.check_may_see_scores(f"settings.{name}")
    if settings.search.HasField("acceptance_threshold"):
        rights.check_may_see_scores("settings.search.acceptance_threshold")


def _max_distance(
    request: review_pb.ListDuplicatesRequest | review_pb.ListInconsistentFacesRequest,
) -> float | None:
    """The largest distance asked for, None for the collection's. Raises OptionInvalid."""
    if not request.HasField("max_distance"):
        return None
    return ids.number(request.max_distance, "max_distance", 0, MAX_DISTANCE)


def _required_collection_id(text: str) -> str:
    """A collection's id, without a default. Raises IdInvalid."""
    if not text:
        raise IdInvalid(
            "collection_id is empty, and this call has no default: name the collection", field="collection_id"
        )
    return ids.collection_id(text)
