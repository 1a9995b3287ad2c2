"""The servicer of the methods on people and their faces."""

import asyncio
from collections.abc import Sequence

from facerec.matcher.v1 import erasure_pb2 as erasure_pb
from facerec.matcher.v1 import matcher_pb2 as pb
from facerec.matcher.v1 import matcher_pb2_grpc
from facerec.serving.middleware import call
from facerec.serving.middleware.chain import Context
from matcher_service.api.converters import answers, attributes, person_exports, requests
from matcher_service.domain import ids
from matcher_service.domain.attributes import Selection
from matcher_service.domain.errors import OptionInvalid
from matcher_service.persons.enrollment import Enroller, EnrollmentRequest
from matcher_service.persons.export import PersonExporter
from matcher_service.persons.persons import PersonService
from matcher_service.transfer.exporter import STALLED_SECONDS, limit

MAX_ITEMS = 64
MAX_MOVED = 1000  # faces of one call
MAX_BATCH = 100  # persons of one call


class PersonServicer(matcher_pb2_grpc.MatcherServiceServicer):
    """The methods on people and their faces."""

    def __init__(self, enroller: Enroller, persons: PersonService, exporter: PersonExporter) -> None:
        self._enroller = enroller
        self._persons = persons
        self._person_exporter = exporter

    async def Enroll(self, request: pb.EnrollRequest, context: Context) -> pb.EnrollResponse:
        """Add faces to a person."""
        ids.count(len(request.items), "items", 1, MAX_ITEMS)
        named = request.HasField("display_name")
        order = EnrollmentRequest(
            collection_id=ids.collection_id(request.collection_id),
            person_id=ids.person_id(request.person_id),
            display_name=ids.free_text(request.display_name, "display_name") if named else None,
            items=[requests.item(item, f"items[{i}]") for i, item in enumerate(request.items)],
            request_id=ids.request_id(request.request_id),
            expire_time=requests.future_time(request.expire_time, "expire_time")
            if request.HasField("expire_time")
            else None,
            scores=call.may_see_scores(),
            attributes=attributes.attribute_change(request),
        )
        return answers.enrollment_message(await self._enroller.enroll(order))

    async def GetPerson(self, request: pb.GetPersonRequest, context: Context) -> pb.GetPersonResponse:
        """Read a person."""
        person = await self._persons.get_person(
            ids.collection_id(request.collection_id), ids.person_id(request.person_id)
        )
        return pb.GetPersonResponse(person=answers.person_message(person))

    async def BatchGetPersons(
        self, request: pb.BatchGetPersonsRequest, context: Context
    ) -> pb.BatchGetPersonsResponse:
        """Read several people."""
        persons = await self._persons.get_persons(
            ids.collection_id(request.collection_id), _person_ids(request.person_ids)
        )
        return pb.BatchGetPersonsResponse(persons=map(answers.person_message, persons))

    async def ListPersons(self, request: pb.ListPersonsRequest, context: Context) -> pb.ListPersonsResponse:
        """Read a page of people."""
        persons, token = await self._persons.list_persons(
            ids.collection_id(request.collection_id),
            Selection(
                ids.person_id_prefix(request.person_id_prefix),
                ids.free_text(request.display_name_prefix, "display_name_prefix"),
                ids.search_query(request.query),
                attributes.person_filter(request.filter),
            ),
            ids.page_size(request.page_size),
            request.page_token,
        )
        messages = [answers.person_message(person) for person in persons]
        return pb.ListPersonsResponse(persons=messages, next_page_token=token)

    async def UpdatePerson(
        self, request: pb.UpdatePersonRequest, context: Context
    ) -> pb.UpdatePersonResponse:
        """Change a person."""
        person, created = await self._persons.update_person(
            ids.collection_id(request.collection_id),
            ids.person_id(request.person_id),
            attributes.person_change(request),
            allow_missing=request.allow_missing,
        )
        return pb.UpdatePersonResponse(person=answers.person_message(person), person_created=created)

    async def RenamePerson(
        self, request: pb.RenamePersonRequest, context: Context
    ) -> pb.RenamePersonResponse:
        """Give a person another id."""
        old = ids.person_id(request.person_id)
        new = ids.person_id(request.new_person_id, "new_person_id")
        if old == new:
            raise OptionInvalid("new_person_id is the person's id already", field="new_person_id")
        person = await self._persons.rename_person(ids.collection_id(request.collection_id), old, new)
        return pb.RenamePersonResponse(person=answers.person_message(person))

    async def MoveFaces(self, request: pb.MoveFacesRequest, context: Context) -> pb.MoveFacesResponse:
        """Move faces to a person."""
        ids.count(len(request.face_ids), "face_ids", 1, MAX_MOVED)
        faces = [ids.parse_uuid(face, f"face_ids[{index}]") for index, face in enumerate(request.face_ids)]
        moved = await self._persons.move_faces(
            ids.collection_id(request.collection_id),
            faces,
            ids.person_id(request.target_person_id, "target_person_id"),
        )
        return pb.MoveFacesResponse(
            person=answers.person_message(moved.person),
            person_created=moved.person_created,
            faces_moved=moved.faces_moved,
            copies_deleted=moved.copies_deleted,
        )

    async def MergePersons(
        self, request: pb.MergePersonsRequest, context: Context
    ) -> pb.MergePersonsResponse:
        """Merge two persons."""
        source = ids.person_id(request.source_person_id, "source_person_id")
        target = ids.person_id(request.target_person_id, "target_person_id")
        if source == target:
            raise OptionInvalid(
                "source_person_id and target_person_id are the same person: name two persons",
                field="target_person_id",
            )
        merged = await self._persons.merge_persons(ids.collection_id(request.collection_id), source, target)
        return pb.MergePersonsResponse(
            person=answers.person_message(merged.person),
            faces_moved=len(merged.moved_face_ids),
            moved_face_ids=map(str, merged.moved_face_ids),
        )

    async def ExportPerson(  # type: ignore[override]  # the stubs only type generators
        self, request: pb.ExportPersonRequest, context: Context
    ) -> None:
        """Read all that is stored of a person. Uses context.write, as ExportFaces does."""
        parts = self._person_exporter.parts(
            ids.collection_id(request.collection_id),
            ids.person_id(request.person_id),
            may_have_vectors=call.is_admin,
        )
        async for part in parts:
            message = await asyncio.to_thread(person_exports.part_message, part)
            async with limit(STALLED_SECONDS, f"the export was not read for {STALLED_SECONDS:g} s"):
                await context.write(message)

    async def DeletePerson(
        self, request: pb.DeletePersonRequest, context: Context
    ) -> pb.DeletePersonResponse:
        """Erase a person."""
        erasure = await self._persons.delete_persons(
            ids.collection_id(request.collection_id), [ids.person_id(request.person_id)]
        )
        return answers.receipt(pb.DeletePersonResponse(), erasure)

    async def BatchDeletePersons(
        self, request: pb.BatchDeletePersonsRequest, context: Context
    ) -> pb.BatchDeletePersonsResponse:
        """Erase several people."""
        erasure = await self._persons.delete_persons(
            ids.collection_id(request.collection_id), _person_ids(request.person_ids)
        )
        return answers.receipt(pb.BatchDeletePersonsResponse(), erasure)

    async def ListFaces(self, request: pb.ListFacesRequest, context: Context) -> pb.ListFacesResponse:
        """Read a page of faces."""
        external_ref = ids.free_text(request.external_ref, "external_ref")
        faces, token = await self._persons.list_faces(
            ids.collection_id(request.collection_id),
            ids.person_id(request.person_id) if request.person_id else "",
            external_ref,
            ids.page_size(request.page_size),
            request.page_token,
        )
        messages = [answers.face_message(face) for face in faces]
        return pb.ListFacesResponse(faces=messages, next_page_token=token)

    async def GetFace(self, request: pb.GetFaceRequest, context: Context) -> pb.GetFaceResponse:
        """Read a face."""
        face = await self._persons.get_face(
            ids.collection_id(request.collection_id), ids.parse_uuid(request.face_id, "face_id")
        )
        return pb.GetFaceResponse(face=answers.face_message(face))

    async def UpdateFace(self, request: pb.UpdateFaceRequest, context: Context) -> pb.UpdateFaceResponse:
        """Change a face."""
        face = await self._persons.update_face(
            ids.collection_id(request.collection_id),
            ids.parse_uuid(request.face_id, "face_id"),
            requests.face_change(request),
        )
        return pb.UpdateFaceResponse(face=answers.face_message(face))

    async def DeleteFace(self, request: pb.DeleteFaceRequest, context: Context) -> pb.DeleteFaceResponse:
        """Erase a face."""
        erasure = await self._persons.delete_face(
            ids.collection_id(request.collection_id), ids.parse_uuid(request.face_id, "face_id")
        )
        message = pb.DeleteFaceResponse(faces_deleted=erasure.faces, erasure_id=str(erasure.erasure_id or ""))
        message.delete_time.FromDatetime(erasure.delete_time)
        return message

    async def GetErasure(
        self, request: erasure_pb.GetErasureRequest, context: Context
    ) -> erasure_pb.GetErasureResponse:
        """Read how far an erasure has come."""
        erasure = await self._persons.get_erasure(
            ids.collection_id(request.collection_id), ids.parse_uuid(request.erasure_id, "erasure_id")
        )
        return answers.erasure_message(erasure)


def _person_ids(person_ids: Sequence[str]) -> list[str]:
    """The persons of a batch. Raises OptionInvalid, IdInvalid."""
    ids.count(len(person_ids), "person_ids", 1, MAX_BATCH)
    return [ids.person_id(person, f"person_ids[{index}]") for index, person in enumerate(person_ids)]
