"""MatcherService on the wire: messages in, messages out, the work elsewhere."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc.aio

from facerec.matcher.v1 import erasure_pb2 as erasure_pb
from facerec.matcher.v1 import matcher_pb2 as pb
from facerec.matcher.v1 import matcher_pb2_grpc
from facerec.matcher.v1 import transfer_pb2 as transfer_pb
from facerec.serving.auth.errors import NotPermitted
from facerec.serving.middleware import call
from matcher_service.api import converters, person_export_converters, transfer_converters
from matcher_service.domain import ids
from matcher_service.domain.errors import OptionInvalid, ScoresWithheld
from matcher_service.identification.matcher import DEFAULT_MAX_CANDIDATES, Matcher
from matcher_service.persons.export import PersonExporter
from matcher_service.persons.persons import EnrollOrder, Gallery
from matcher_service.transfer.chunks import Chunk, Header, Progress, Refused
from matcher_service.transfer.exporter import STALLED_SECONDS, Exporter, limit
from matcher_service.transfer.importer import Importer

MAX_ITEMS = 64
MAX_PROBES = 16
MAX_CANDIDATES = 100
MAX_FACE_PIXELS = 65535

Context = grpc.aio.ServicerContext[Any, Any]


class MatcherServicer(matcher_pb2_grpc.MatcherServiceServicer):
    """Answers every RPC of the service."""

    def __init__(
        self,
        matcher: Matcher,
        gallery: Gallery,
        importer: Importer,
        exporter: Exporter,
        persons: PersonExporter,
    ) -> None:
        self._matcher = matcher
        self._gallery = gallery
        self._importer = importer
        self._exporter = exporter
        self._persons = persons

    async def Enroll(self, request: pb.EnrollRequest, context: Context) -> pb.EnrollResponse:
        """Add faces to a person."""
        ids.count(len(request.items), "items", 1, MAX_ITEMS)
        named = request.HasField("display_name")
        order = EnrollOrder(
            collection_id=ids.collection_id(request.collection_id),
            person_id=ids.person_id(request.person_id),
            display_name=ids.free_text(request.display_name, "display_name") if named else None,
            items=[converters.item(item, f"items[{i}]") for i, item in enumerate(request.items)],
            request_id=ids.request_id(request.request_id),
            expire_time=converters.moment(request.expire_time, "expire_time")
            if request.HasField("expire_time")
            else None,
            scores=call.may_see_scores(),
        )
        return converters.enrollment_message(await self._gallery.enroll(order))

    async def Verify(self, request: pb.VerifyRequest, context: Context) -> pb.VerifyResponse:
        """Decide a claim."""
        verification = await self._matcher.verify(
            ids.collection_id(request.collection_id),
            ids.person_id(request.person_id),
            converters.probe(request.probe, "probe"),
            _max_distance(request),
        )
        return pb.VerifyResponse(
            match=verification.match,
            distance=converters.if_scores(verification.distance, None),
            threshold=verification.threshold,
            nearest_face_id=converters.if_scores(str(verification.nearest_face_id), ""),
            faces_compared=verification.faces,
            space=verification.space,
            quality=converters.quality_message(verification.quality),
        )

    async def Identify(self, request: pb.IdentifyRequest, context: Context) -> pb.IdentifyResponse:
        """Find who faces are."""
        ids.count(len(request.probes), "probes", 1, MAX_PROBES)
        most = request.max_candidates if request.HasField("max_candidates") else DEFAULT_MAX_CANDIDATES
        probes = [
            converters.probe(probe, f"probes[{i}]", searched=True) for i, probe in enumerate(request.probes)
        ]
        for index, probe in enumerate(request.probes):
            if request.all_faces and probe.use_largest_face:
                raise OptionInvalid(
                    "use_largest_face takes one face and all_faces takes each: set one of them",
                    field=f"probes[{index}].use_largest_face",
                )
        answers, threshold, space = await self._matcher.identify(
            ids.collection_id(request.collection_id),
            probes,
            max_distance=_max_distance(request),
            max_candidates=ids.count(most, "max_candidates", 1, MAX_CANDIDATES),
            all_faces=request.all_faces,
            exact_only=request.exact_only,
            min_face_pixels=ids.count(request.min_face_pixels, "min_face_pixels", 0, MAX_FACE_PIXELS),
            scores=call.may_see_scores(),
        )
        faces = [converters.identified_message(answer) for answer in answers]
        # One threshold and one gallery for all: the last answer's is the newest.
        expected = answers[-1].expected if answers else None
        return pb.IdentifyResponse(
            faces=faces,
            threshold=threshold,
            space=space,
            expected_false_hits=expected.faces if expected else None,
            expected_false_hits_high=expected.high if expected else None,
        )

    async def Compare(self, request: pb.CompareRequest, context: Context) -> pb.CompareResponse:
        """Measure two faces."""
        comparison = await self._matcher.compare(
            ids.collection_id(request.collection_id),
            converters.probe(request.probe_a, "probe_a", searched=True),
            converters.probe(request.probe_b, "probe_b", searched=True),
            _max_distance(request),
        )
        return pb.CompareResponse(
            match=comparison.match,
            distance=converters.if_scores(comparison.distance, None),
            threshold=comparison.threshold,
            space=comparison.space,
            quality_a=converters.quality_message(comparison.quality_a),
            quality_b=converters.quality_message(comparison.quality_b),
        )

    async def GetPerson(self, request: pb.GetPersonRequest, context: Context) -> pb.GetPersonResponse:
        """Read a person."""
        person = await self._gallery.get_person(
            ids.collection_id(request.collection_id), ids.person_id(request.person_id)
        )
        return pb.GetPersonResponse(person=converters.person_message(person))

    async def ListPersons(self, request: pb.ListPersonsRequest, context: Context) -> pb.ListPersonsResponse:
        """Read a page of people."""
        persons, token = await self._gallery.list_persons(
            ids.collection_id(request.collection_id),
            ids.person_id_prefix(request.person_id_prefix),
            ids.page_size(request.page_size),
            request.page_token,
        )
        messages = [converters.person_message(person) for person in persons]
        return pb.ListPersonsResponse(persons=messages, next_page_token=token)

    async def UpdatePerson(
        self, request: pb.UpdatePersonRequest, context: Context
    ) -> pb.UpdatePersonResponse:
        """Change a person."""
        if not request.HasField("display_name"):
            raise OptionInvalid("set display_name: nothing else can be changed", field="display_name")
        person = await self._gallery.update_person(
            ids.collection_id(request.collection_id),
            ids.person_id(request.person_id),
            ids.free_text(request.display_name, "display_name"),
        )
        return pb.UpdatePersonResponse(person=converters.person_message(person))

    async def MergePersons(
        self, request: pb.MergePersonsRequest, context: Context
    ) -> pb.MergePersonsResponse:
        """Make one person of two."""
        source = ids.person_id(request.source_person_id, "source_person_id")
        target = ids.person_id(request.target_person_id, "target_person_id")
        if source == target:
            raise OptionInvalid("source and target are one person", field="target_person_id")
        merged = await self._gallery.merge_persons(ids.collection_id(request.collection_id), source, target)
        return pb.MergePersonsResponse(
            person=converters.person_message(merged.person), faces_moved=merged.faces_moved
        )

    async def ExportPerson(  # type: ignore[override]  # the stubs know of generators alone
        self, request: pb.ExportPersonRequest, context: Context
    ) -> None:
        """Read all that is kept of a person. Writes, as ExportFaces does."""
        parts = self._persons.parts(
            ids.collection_id(request.collection_id),
            ids.person_id(request.person_id),
            with_vectors=call.is_admin,
        )
        async for part in parts:
            message = await asyncio.to_thread(person_export_converters.part_message, part)
            async with limit(STALLED_SECONDS, f"the export was not read for {STALLED_SECONDS:g} s"):
                await context.write(message)

    async def DeletePerson(
        self, request: pb.DeletePersonRequest, context: Context
    ) -> pb.DeletePersonResponse:
        """Erase a person."""
        erasure = await self._gallery.delete_person(
            ids.collection_id(request.collection_id), ids.person_id(request.person_id)
        )
        message = pb.DeletePersonResponse(
            persons_deleted=erasure.persons,
            faces_deleted=erasure.faces,
            erasure_id=str(erasure.erasure_id or ""),
        )
        message.delete_time.FromDatetime(erasure.delete_time)
        return message

    async def ListFaces(self, request: pb.ListFacesRequest, context: Context) -> pb.ListFacesResponse:
        """Read a page of a person's faces."""
        faces, token = await self._gallery.list_faces(
            ids.collection_id(request.collection_id),
            ids.person_id(request.person_id),
            ids.page_size(request.page_size),
            request.page_token,
        )
        messages = [converters.face_message(face) for face in faces]
        return pb.ListFacesResponse(faces=messages, next_page_token=token)

    async def GetFace(self, request: pb.GetFaceRequest, context: Context) -> pb.GetFaceResponse:
        """Read a face."""
        face = await self._gallery.get_face(
            ids.collection_id(request.collection_id), ids.face_id(request.face_id, "face_id")
        )
        return pb.GetFaceResponse(face=converters.face_message(face))

    async def UpdateFace(self, request: pb.UpdateFaceRequest, context: Context) -> pb.UpdateFaceResponse:
        """Change a face."""
        face = await self._gallery.update_face(
            ids.collection_id(request.collection_id),
            ids.face_id(request.face_id, "face_id"),
            converters.face_change(request),
        )
        return pb.UpdateFaceResponse(face=converters.face_message(face))

    async def DeleteFace(self, request: pb.DeleteFaceRequest, context: Context) -> pb.DeleteFaceResponse:
        """Erase a face."""
        erasure = await self._gallery.delete_face(
            ids.collection_id(request.collection_id), ids.face_id(request.face_id, "face_id")
        )
        message = pb.DeleteFaceResponse(faces_deleted=erasure.faces, erasure_id=str(erasure.erasure_id or ""))
        message.delete_time.FromDatetime(erasure.delete_time)
        return message

    async def GetErasure(
        self, request: erasure_pb.GetErasureRequest, context: Context
    ) -> erasure_pb.GetErasureResponse:
        """Say what has become of an erasure."""
        erasure = await self._gallery.get_erasure(
            ids.collection_id(request.collection_id), ids.face_id(request.erasure_id, "erasure_id")
        )
        return converters.erasure_message(erasure)

    async def ImportFaces(
        self, request_iterator: AsyncIterator[transfer_pb.ImportFacesRequest], context: Context
    ) -> transfer_pb.ImportFacesResponse:
        """Add faces in bulk."""
        header = await transfer_converters.header(request_iterator)
        total, told = Progress(next_row=header.first_row), list[Refused]()
        _check_ignoring(header)
        job = await self._importer.begin(header)
        async for request in request_iterator:
            _check_ignoring(header)
            chunk = await asyncio.to_thread(transfer_converters.chunk, request)
            done, refused = await job.add(chunk)
            total = total.and_then(done)
            told += refused[: transfer_converters.MAX_TOLD - len(told)]
        return transfer_converters.import_message(total, told)

    async def GetImport(
        self, request: transfer_pb.GetImportRequest, context: Context
    ) -> transfer_pb.GetImportResponse:
        """Say how far an import came."""
        progress = await self._importer.get(
            ids.collection_id(request.collection_id), ids.import_id(request.import_id, "import_id")
        )
        return transfer_converters.progress_message(progress)

    async def ExportFaces(  # type: ignore[override]  # the stubs know of generators alone
        self, request: transfer_pb.ExportFacesRequest, context: Context
    ) -> None:
        """Read all faces of a collection.

        Writes, where a generator would yield: a limit around a `yield` may end within gRPC, which then tells
        the caller nothing.
        """

        async def write(space: str, chunk: Chunk) -> None:
            await context.write(await asyncio.to_thread(transfer_converters.export_message, space, chunk))

        await self._exporter.export(ids.collection_id(request.collection_id), write)


def _check_ignoring(header: Header) -> None:
    if header.ignores_policy and not call.is_admin():
        raise NotPermitted(
            "only a key of the role admin may take faces without looking for duplicates",
            field="header.ignore_duplicate_policy",
        )


def _max_distance(request: pb.VerifyRequest | pb.IdentifyRequest | pb.CompareRequest) -> float | None:
    if not request.HasField("max_distance"):
        return None
    if not call.may_see_scores():
        raise ScoresWithheld(
            "distances are not for this caller, who therefore may not choose how large one may be",
            field="max_distance",
        )
    return ids.max_distance(request.max_distance)
