"""Calls every RPC of the matcher with one key and records the answers in a comparable form."""

import uuid
from collections.abc import Iterator, Sequence
from typing import Any

import grpc.aio
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from facerec.client.failures import from_rpc_error
from facerec.matcher import v1
from facerec.matcher.v1 import matcher_pb2 as pb
from facerec.matcher.v1 import transfer_pb2
from tests.e2e.access import paired_collections as paired
from tests.e2e.access.conftest import bearer
from tests.e2e.matcher.requests import SPACE, enroll
from tests.e2e.matcher.transfers import chunk, header
from tests.fixtures.matcher import RunningMatcher

IDS = {
    "face_id",
    "erasure_id",
    "calibration_id",
    "nearest_face_id",
    "moved_face_ids",
    "target_person_tag",
    "face_id_a",
    "face_id_b",
    "own_face_id",
    "other_face_id",
    "probe_face_id",
    "next_page_token",
    "event_id",
    "person_tag",
    "source_person_tag",
}
# Of the collection: its name, and what is estimated or sampled.
LEFT_OUT = {"collection_id", "recall", "estimated_faces", "estimated_persons", "faces_exact", "persons_exact"}


def comparable(value: Any, name: str = "") -> Any:
    """An answer without what differs from call to call: generated ids and times are there or not."""
    if isinstance(value, Message):
        return comparable(MessageToDict(value, preserving_proto_field_name=True))
    if isinstance(value, dict):
        return {key: comparable(each, key) for key, each in value.items() if key not in LEFT_OUT}
    if isinstance(value, list):
        return [comparable(each, name) for each in value]
    return "there" if name in IDS or name.endswith("_time") else value


def fields(message: Message) -> Iterator[str]:
    """Every field that is set anywhere in an answer, as `Message.field`."""
    for field, value in message.ListFields():
        yield f"{message.DESCRIPTOR.name}.{field.name}"
        if field.message_type is not None and not field.message_type.GetOptions().map_entry:
            for each in value if field.is_repeated else [value]:
                yield from fields(each)


class Recorder:
    """Calls with one key about one collection, and records the answers; of some of its clusters, or all."""

    def __init__(
        self,
        matcher: RunningMatcher,
        key: str,
        collection_id: str,
        clusters: Sequence[int] = range(len(paired.CLUSTERS)),
    ) -> None:
        self._matcher = matcher
        self._key = key
        self._collection_id = collection_id
        self._clusters = clusters
        self.answers: list[tuple[str, Any]] = []
        self.fields: set[str] = set()

    async def ask(self, method: str, request: Any) -> Any:
        """Call, and record the answer or error; returns None for an error."""
        stub = self._stub(method)
        if not isinstance(request, list) and "collection_id" in request.DESCRIPTOR.fields_by_name:
            request.collection_id = request.collection_id or self._collection_id
        sent = iter(request) if isinstance(request, list) else request
        try:
            call = stub(sent, metadata=bearer(self._key), timeout=60)
            answer = [part async for part in call] if method.startswith("Export") else await call
        except grpc.aio.AioRpcError as error:
            found = from_rpc_error(error, "the matcher")
            refusal = (found.reason.value, found.field, found.message, dict(found.metadata))
            self.answers.append((method, refusal))
            return None
        self.answers.append((method, comparable(answer)))
        for message in answer if isinstance(answer, list) else [answer]:
            self.fields |= set(fields(message))
        return answer

    async def everything(self) -> None:
        """Call every RPC of both services."""
        await self._decide()
        await self._enroll()
        await self._review()
        await self._change()

    async def _decide(self) -> None:
        probes = self._probes()
        for options in ({}, {"max_candidates": 1}, {"max_candidates": 60}, {"exact_only": True}):
            await self.ask("Identify", pb.IdentifyRequest(probes=probes, **options))
        await self.ask("Identify", pb.IdentifyRequest(probes=probes, max_distance=0.45))
        targets = list(map(paired.target, self._clusters))
        for people in (targets[:1], targets):  # few, whose tries are counted, and more
            chosen = pb.PersonFilter(person_ids=people)
            request = pb.IdentifyRequest(probes=probes, filter=chosen, include_attributes=True)
            await self.ask("Identify", request)
        for chosen in (pb.PersonFilter(), pb.PersonFilter(person_ids=targets)):
            for probe in probes:
                photos = pb.IdentifyRequest(probes=[probe, probe], same_person=True, filter=chosen)
                await self.ask("Identify", photos)
        for cluster, probe in zip(self._clusters, probes, strict=True):
            person = paired.target(cluster)
            claim = pb.VerifyRequest(person_id=person, probe=probe, include_attributes=True)
            await self.ask("Verify", claim)
            several = pb.VerifyRequest(person_id=person, probes=[probe, probe])
            await self.ask("Verify", several)
            listed = await self._as_admin("ListFaces", pb.ListFacesRequest(person_id=person))
            face_id = next(face.face_id for face in listed.faces if face.external_ref == "target")
            stored = pb.Probe(face_id=face_id)
            await self.ask("Compare", pb.CompareRequest(probe_a=probe, probe_b=stored))
            await self.ask("Identify", pb.IdentifyRequest(probes=[stored]))
            held = pb.Probe(person_id=person)
            await self.ask("Compare", pb.CompareRequest(probe_a=held, probe_b=held))
            await self.ask("Identify", pb.IdentifyRequest(probes=[held]))
            await self._as_admin("UpdatePerson", pb.UpdatePersonRequest(person_id=person, suspended=True))
            await self.ask("Verify", claim)
            await self.ask("Identify", pb.IdentifyRequest(probes=[probe]))
            await self._as_admin("UpdatePerson", pb.UpdatePersonRequest(person_id=person, suspended=False))

    def _probes(self) -> list[pb.Probe]:
        return [paired.probe(cluster) for cluster in self._clusters]

    async def _as_admin(self, method: str, request: Any) -> Any:
        request.collection_id = self._collection_id
        return await self._stub(method)(request, metadata=bearer("admin"))

    def _stub(self, method: str) -> Any:
        services = (self._matcher.stub, self._matcher.collections)
        return next(getattr(each, method) for each in services if hasattr(each, method))

    async def _enroll(self) -> None:
        """Enroll each probe, again, and where a collection refuses duplicates."""
        probes = self._probes()
        for _ in range(2):  # the second is answered from what was kept of the first
            await self.ask("Enroll", enroll("new", *probes, request_id=self._key))
        await self._as_admin("DeletePerson", pb.DeletePersonRequest(person_id="new"))
        refuse, flag = pb.DUPLICATE_POLICY_REFUSE, pb.DUPLICATE_POLICY_FLAG
        await self._set(duplicate_policy=refuse)
        for probe in probes:
            await self.ask("Enroll", enroll("new", probe))
            await self._as_admin("DeletePerson", pb.DeletePersonRequest(person_id="new"))
        await self._set(duplicate_policy=flag)
        await self._enroll_inconsistent(probes)
        vectors = paired.base(0)[None]
        await self.ask(
            "ImportFaces",
            [
                header(self._key, collection_id=self._collection_id, space=SPACE, dry_run=True),
                chunk(vectors, ["new"]),
            ],
        )
        await self.ask("GetImport", transfer_pb2.GetImportRequest(import_id="first"))

    async def _enroll_inconsistent(self, probes: list[pb.Probe]) -> None:
        """Enroll probes for somebody unlike all of them, and where that is refused for their targets."""
        await self._as_admin("Enroll", enroll("new", paired.probe(paired.SPARE + 20)))
        await self.ask("Enroll", enroll("new", *probes))
        for options in ({}, {"max_distance": 0.3}, {"person_id": "new"}):
            await self.ask("ListInconsistentFaces", v1.ListInconsistentFacesRequest(**options))
        await self._as_admin("DeletePerson", pb.DeletePersonRequest(person_id="new"))
        await self._set(consistency_policy=pb.CONSISTENCY_POLICY_REFUSE)
        for cluster, probe in zip(self._clusters, probes, strict=True):
            answer = await self.ask("Enroll", enroll(paired.target(cluster), probe))
            for face in answer.faces if answer else ():
                await self._as_admin("DeleteFace", pb.DeleteFaceRequest(face_id=face.face.face_id))
        await self._set(consistency_policy=pb.CONSISTENCY_POLICY_FLAG)

    async def _set(self, **fields: Any) -> None:
        settings = pb.CollectionSettings(**fields)
        await self._as_admin("UpdateCollection", pb.UpdateCollectionRequest(settings=settings))

    async def _review(self) -> None:
        token = ""
        for _ in range(3):
            request = v1.ListDuplicatesRequest(page_size=2, page_token=token)
            page = await self.ask("ListDuplicates", request)
            token = page.next_page_token if page else ""
        await self.ask("ListDuplicates", v1.ListDuplicatesRequest(max_distance=0.3))
        await self.ask("ListDuplicates", v1.ListDuplicatesRequest(page_size=1000))
        await self.ask("Calibrate", v1.CalibrateRequest(max_persons=50, target_fmr=0.1))
        await self.ask("ApplyCalibration", v1.ApplyCalibrationRequest(calibration_id=str(uuid.UUID(int=1))))
        await self.ask("MeasureRecall", v1.MeasureRecallRequest(samples=20))
        await self.ask("GetCollection", pb.GetCollectionRequest())
        for settings in (
            pb.CollectionSettings(verify_threshold=0.6),
            pb.CollectionSettings(identify_threshold=0.5),
            pb.CollectionSettings(duplicate_threshold=0.5),
            pb.CollectionSettings(search=pb.SearchPolicy(acceptance_threshold=0.45)),
            pb.CollectionSettings(search=pb.SearchPolicy(target_recall=0.998)),
        ):
            await self.ask("UpdateCollection", pb.UpdateCollectionRequest(settings=settings))
        await self.ask("ListAuditEvents", v1.ListAuditEventsRequest())
        await self.ask("GetCaller", v1.GetCallerRequest())
        await self.ask("GetStatus", v1.GetStatusRequest())
        await self.ask("ExportFaces", transfer_pb2.ExportFacesRequest())
        await self.ask("CreateCollection", pb.CreateCollectionRequest(collection_id="default"))
        await self.ask("DeleteCollection", pb.DeleteCollectionRequest(collection_id="nowhere"))
        await self.ask("ListCollections", pb.ListCollectionsRequest())

    async def _change(self) -> None:
        first, second = (f"{self._key}-{number}" for number in (1, 2))
        await self.ask("GetPerson", pb.GetPersonRequest(person_id=first))
        await self.ask("ListPersons", pb.ListPersonsRequest(page_size=7))
        await self.ask("UpdatePerson", pb.UpdatePersonRequest(person_id=first, display_name="First"))
        await self.ask("ListFaces", pb.ListFacesRequest(person_id=paired.target(0)))
        await self.ask("DismissDuplicate", v1.DismissDuplicateRequest(person_id_a=first, person_id_b=second))
        await self.ask("ExportPerson", pb.ExportPersonRequest(person_id=first))
        merge = pb.MergePersonsRequest(source_person_id=first, target_person_id=second)
        await self.ask("MergePersons", merge)
        listed = await self._as_admin("ListFaces", pb.ListFacesRequest(person_id=second))
        face_id = listed.faces[0].face_id
        move = pb.MoveFacesRequest(face_ids=[face_id], target_person_id=second)
        await self.ask("MoveFaces", move)
        await self.ask("BatchGetPersons", pb.BatchGetPersonsRequest(person_ids=[second]))
        rename = pb.RenamePersonRequest(person_id=first, new_person_id=second)
        await self.ask("RenamePerson", rename)
        await self.ask("GetFace", pb.GetFaceRequest(face_id=face_id))
        await self.ask("UpdateFace", pb.UpdateFaceRequest(face_id=face_id, external_ref="renamed"))
        await self.ask("DeleteFace", pb.DeleteFaceRequest(face_id=str(uuid.UUID(int=1))))
        await self.ask("BatchDeletePersons", pb.BatchDeletePersonsRequest(person_ids=[first]))
        erased = await self.ask("DeletePerson", pb.DeletePersonRequest(person_id=second))
        erasure_id = erased.erasure_id if erased else str(uuid.UUID(int=1))
        await self.ask("GetErasure", v1.GetErasureRequest(erasure_id=erasure_id))
