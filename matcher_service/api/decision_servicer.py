"""The servicer of Verify, Identify and Compare."""

from facerec.contract import MAX_FACE_PIXELS
from facerec.matcher.v1 import matcher_pb2 as pb
from facerec.matcher.v1 import matcher_pb2_grpc
from facerec.serving.middleware import call
from facerec.serving.middleware.chain import Context
from matcher_service import caller_rights as rights
from matcher_service.api.converters import answers, requests
from matcher_service.api.converters.attributes import person_filter
from matcher_service.domain import ids
from matcher_service.domain.attributes import PersonFilter
from matcher_service.domain.errors import OptionInvalid
from matcher_service.domain.faces import Probe
from matcher_service.identification.matcher import DEFAULT_MAX_CANDIDATES, EVERYBODY, Matcher

MAX_PROBES = 16
MAX_CANDIDATES = 100
MAX_DETAILED_CANDIDATES = 10  # with attributes


class DecisionServicer(matcher_pb2_grpc.MatcherServiceServicer):
    """The methods that decide about faces."""

    def __init__(self, matcher: Matcher, *, max_staleness_seconds: float) -> None:
        self._matcher = matcher
        self._max_staleness_seconds = max_staleness_seconds

    async def Verify(self, request: pb.VerifyRequest, context: Context) -> pb.VerifyResponse:
        """Decide whether a face is the claimed person's."""
        verification = await self._matcher.verify(
            ids.collection_id(request.collection_id),
            ids.person_id(request.person_id),
            _claimed(request),
            _max_distance(request),
            include_attributes=request.include_attributes,
            among=rights.findable(EVERYBODY),
        )
        return answers.verification_message(verification, several=bool(request.probes))

    async def Identify(self, request: pb.IdentifyRequest, context: Context) -> pb.IdentifyResponse:
        """Find the persons whose faces are near the probes."""
        ids.count(len(request.probes), "probes", 1, MAX_PROBES)
        most = request.max_candidates if request.HasField("max_candidates") else DEFAULT_MAX_CANDIDATES
        allowed = MAX_DETAILED_CANDIDATES if request.include_attributes else MAX_CANDIDATES
        if request.same_person and request.all_faces:
            raise OptionInvalid(
                "same_person and all_faces exclude each other: set only one of them", field="same_person"
            )
        read = requests.searched_probe if request.same_person else requests.probe_or_person
        probes = [read(probe, f"probes[{i}]") for i, probe in enumerate(request.probes)]
        for index, probe in enumerate(request.probes):
            if request.all_faces and probe.use_largest_face:
                raise OptionInvalid(
                    "use_largest_face and all_faces exclude each other: set only one of them",
                    field=f"probes[{index}].use_largest_face",
                )
        found, threshold, space = await self._matcher.identify(
            ids.collection_id(request.collection_id),
            probes,
            max_distance=_max_distance(request),
            max_candidates=ids.count(most, "max_candidates", 1, allowed),
            all_faces=request.all_faces,
            exact_only=request.exact_only,
            min_face_pixels=ids.count(request.min_face_pixels, "min_face_pixels", 0, MAX_FACE_PIXELS),
            scores=call.may_see_scores(),
            include_attributes=request.include_attributes,
            chosen=rights.findable(_search_filter(request.filter)),
            max_staleness=requests.max_staleness(request.consistency, self._max_staleness_seconds),
            same_person=request.same_person,
        )
        faces = [answers.identified_message(each) for each in found]
        # All probes share a threshold and a collection; the last answer's figures are the newest.
        expected = found[-1].expected if found else None
        return pb.IdentifyResponse(
            faces=faces,
            threshold=threshold,
            space=space,
            expected_false_positives=expected.faces if expected else None,
            expected_false_positives_high=expected.high if expected else None,
        )

    async def Compare(self, request: pb.CompareRequest, context: Context) -> pb.CompareResponse:
        """Measure the distance of two faces, or of the nearest of persons' faces."""
        comparison = await self._matcher.compare(
            ids.collection_id(request.collection_id),
            requests.probe_or_person(request.probe_a, "probe_a"),
            requests.probe_or_person(request.probe_b, "probe_b"),
            _max_distance(request),
        )
        return pb.CompareResponse(
            match=comparison.match,
            distance=answers.if_scores(comparison.distance, None),
            threshold=comparison.threshold,
            space=comparison.space,
            quality_a=answers.quality_message(comparison.quality_a),
            quality_b=answers.quality_message(comparison.quality_b),
            face_id_a=str(comparison.face_id_a or ""),
            face_id_b=str(comparison.face_id_b or ""),
        )


def _search_filter(message: pb.PersonFilter) -> PersonFilter:
    chosen = person_filter(message)
    if chosen.suspended is not None:
        raise OptionInvalid(
            "Identify finds nobody who is suspended: leave filter.suspended unset (ListPersons takes it)",
            field="filter.suspended",
        )
    return chosen


def _claimed(request: pb.VerifyRequest) -> list[Probe]:
    """The probe of a claim, or its several probes. Raises OptionInvalid, and what `requests.probe` raises."""
    if not request.probes:
        return [requests.probe(request.probe, "probe")]
    if request.HasField("probe"):
        raise OptionInvalid("probe and probes exclude each other: set only one of them", field="probes")
    ids.count(len(request.probes), "probes", 1, MAX_PROBES)
    return [requests.probe(probe, f"probes[{i}]") for i, probe in enumerate(request.probes)]


def _max_distance(request: pb.VerifyRequest | pb.IdentifyRequest | pb.CompareRequest) -> float | None:
    if not request.HasField("max_distance"):
        return None
    rights.check_may_see_scores("max_distance")
    return ids.max_distance(request.max_distance)
