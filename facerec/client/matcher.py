"""Clients of the matcher."""

import dataclasses
import datetime
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Generator, Iterable, Iterator
from typing import Any, ClassVar

import grpc

from facerec.client import transfer
from facerec.client.calls import (
    AsyncClient,
    Call,
    Client,
    Listing,
    ask,
    ask_async,
    each,
    each_async,
    option_invalid,
)
from facerec.client.channel import MATCHER_SERVICE
from facerec.client.failures import from_rpc_error
from facerec.client.people import (
    Comparison,
    Enrollment,
    Erasure,
    Identification,
    Merge,
    Person,
    StoredFace,
    Verification,
)
from facerec.client.person_exports import PersonExport
from facerec.client.probes import Probe, probe_message
from facerec.client.sending import AsyncRequests, Requests
from facerec.client.times import timestamp
from facerec.client.transfer import FaceBatch, ImportReport
from facerec.matcher import v1


@dataclasses.dataclass(frozen=True)
class NewFace:
    """A face to enroll with the caller's own reference to it."""

    probe: Probe
    external_ref: str = ""


def enroll(
    person_id: str,
    *faces: Probe | NewFace,
    display_name: str | None = None,
    request_id: str = "",
    expire_time: datetime.datetime | None = None,
    use_largest_face: bool = False,
    collection_id: str = "",
) -> Call[Enrollment]:
    """Add faces to a person, creating the person when new: all of them or none.

    The same photo or encoding is stored once per person, and `request_id` makes the whole call
    repeatable. From `expire_time` on, which has a time zone, no call sees the faces. Raises
    FacerecError: IMAGE_*, ENCODING_INVALID, ID_INVALID, OPTION_INVALID, FACE_NOT_FOUND, FACE_AMBIGUOUS,
    FACE_QUALITY, FACE_DUPLICATE (its metadata's person_id names the other), MODEL_MISMATCH,
    REQUEST_ID_REUSED, COLLECTION_NOT_FOUND, OVERLOADED, ENCODER_UNAVAILABLE, STORE_UNAVAILABLE,
    UNREACHABLE, DEADLINE_EXCEEDED.
    """
    items = [
        v1.EnrollItem(
            probe=probe_message(face.probe, f"items[{place}].probe", use_largest_face=use_largest_face),
            external_ref=face.external_ref,
        )
        for place, face in enumerate(face if isinstance(face, NewFace) else NewFace(face) for face in faces)
    ]
    request = v1.EnrollRequest(
        collection_id=collection_id,
        person_id=person_id,
        display_name=display_name,
        items=items,
        request_id=request_id,
        expire_time=timestamp(expire_time, "expire_time"),
    )
    return Call("Enroll", request, Enrollment.from_message)


def verify(
    person_id: str,
    probe: Probe,
    *,
    max_distance: float | None = None,
    use_largest_face: bool = False,
    collection_id: str = "",
) -> Call[Verification]:
    """Say whether a face is the named person's. Raises FacerecError: PERSON_NOT_FOUND and as `enroll`."""
    request = v1.VerifyRequest(
        collection_id=collection_id,
        person_id=person_id,
        probe=probe_message(probe, "probe", use_largest_face=use_largest_face),
        max_distance=max_distance,
    )
    return Call("Verify", request, Verification.from_message)


def identify(
    *probes: Probe,
    all_faces: bool = False,
    max_candidates: int | None = None,
    max_distance: float | None = None,
    exact_only: bool = False,
    use_largest_face: bool = False,
    min_face_pixels: int = 0,
    collection_id: str = "",
) -> Call[Identification]:
    """Say who faces are; `all_faces` answers every face of an image, small ones beside large ones where
    `min_face_pixels` asks for them. Raises FacerecError as `enroll`.
    """
    request = v1.IdentifyRequest(
        collection_id=collection_id,
        probes=[
            probe_message(probe, f"probes[{place}]", use_largest_face=use_largest_face)
            for place, probe in enumerate(probes)
        ],
        max_candidates=max_candidates,
        max_distance=max_distance,
        all_faces=all_faces,
        exact_only=exact_only,
        min_face_pixels=min_face_pixels,
    )
    return Call("Identify", request, Identification.from_message)


def compare(
    a: Probe,
    b: Probe,
    *,
    max_distance: float | None = None,
    use_largest_face: bool = False,
    collection_id: str = "",
) -> Call[Comparison]:
    """Measure two faces against each other. Raises FacerecError as `enroll`."""
    request = v1.CompareRequest(
        collection_id=collection_id,
        probe_a=probe_message(a, "probe_a", use_largest_face=use_largest_face),
        probe_b=probe_message(b, "probe_b", use_largest_face=use_largest_face),
        max_distance=max_distance,
    )
    return Call("Compare", request, Comparison.from_message)


def get_person(person_id: str, *, collection_id: str = "") -> Call[Person]:
    """One person. Raises FacerecError: PERSON_NOT_FOUND, ID_INVALID and those of any call."""
    request = v1.GetPersonRequest(collection_id=collection_id, person_id=person_id)
    return Call("GetPerson", request, lambda response: Person.from_message(response.person))


def list_persons(*, prefix: str = "", page_size: int = 0, collection_id: str = "") -> Listing[Person]:
    """The people of a collection whose ids begin with `prefix`, by person_id.

    `page_size` (0: 100) is how many one call fetches.
    """
    request = v1.ListPersonsRequest(collection_id=collection_id, page_size=page_size, person_id_prefix=prefix)
    return Listing("ListPersons", request, "persons", Person.from_message)


def update_person(person_id: str, *, display_name: str, collection_id: str = "") -> Call[Person]:
    """Change what is known of a person besides the faces. Raises FacerecError as `get_person`."""
    request = v1.UpdatePersonRequest(
        collection_id=collection_id, person_id=person_id, display_name=display_name
    )
    return Call("UpdatePerson", request, lambda response: Person.from_message(response.person))


def merge_persons(source_person_id: str, target_person_id: str, *, collection_id: str = "") -> Call[Merge]:
    """Give all faces of the source to the target and erase the source.

    Not retried: PERSON_NOT_FOUND naming source_person_id may mean that it was carried out. Raises
    FacerecError: PERSON_NOT_FOUND, ID_INVALID, OPTION_INVALID and those of any call.
    """
    request = v1.MergePersonsRequest(
        collection_id=collection_id, source_person_id=source_person_id, target_person_id=target_person_id
    )
    return Call("MergePersons", request, Merge.from_message)


def delete_person(person_id: str, *, collection_id: str = "") -> Call[Erasure]:
    """Erase a person and every face of theirs; who is not there gives counts of 0."""
    request = v1.DeletePersonRequest(collection_id=collection_id, person_id=person_id)
    return Call("DeletePerson", request, Erasure.from_message)


def list_faces(person_id: str, *, page_size: int = 0, collection_id: str = "") -> Listing[StoredFace]:
    """One person's faces, oldest first; `page_size` (0: 100) is how many one call fetches."""
    request = v1.ListFacesRequest(collection_id=collection_id, person_id=person_id, page_size=page_size)
    return Listing("ListFaces", request, "faces", StoredFace.from_message)


def get_face(face_id: str, *, collection_id: str = "") -> Call[StoredFace]:
    """One face. Raises FacerecError: STORED_FACE_NOT_FOUND, ID_INVALID and those of any call."""
    request = v1.GetFaceRequest(collection_id=collection_id, face_id=face_id)
    return Call("GetFace", request, lambda response: StoredFace.from_message(response.face))


def update_face(
    face_id: str,
    *,
    external_ref: str | None = None,
    expire_time: datetime.datetime | None = None,
    never_expires: bool = False,
    collection_id: str = "",
) -> Call[StoredFace]:
    """Change the caller's own reference to a face, or when it is to be gone; what is None stays as it is.

    `expire_time` has a time zone, and `never_expires` takes an earlier one back. Raises FacerecError:
    STORED_FACE_NOT_FOUND, ID_INVALID, OPTION_INVALID and those of any call.
    """
    request = v1.UpdateFaceRequest(
        collection_id=collection_id,
        face_id=face_id,
        external_ref=external_ref,
        expire_time=timestamp(expire_time, "expire_time"),
    )
    if external_ref is None and expire_time is None and not never_expires:
        raise option_invalid("", "nothing to change: give external_ref, expire_time or never_expires")
    if never_expires:
        if expire_time is not None:
            raise option_invalid(
                "expire_time", "give expire_time or never_expires: each says when the face is to be gone"
            )
        request.update_mask.paths.extend(["expire_time", *(["external_ref"] * (external_ref is not None))])
    return Call("UpdateFace", request, lambda response: StoredFace.from_message(response.face))


def delete_face(face_id: str, *, collection_id: str = "") -> Call[Erasure]:
    """Erase one face; one that is not there gives a count of 0."""
    request = v1.DeleteFaceRequest(collection_id=collection_id, face_id=face_id)
    return Call("DeleteFace", request, Erasure.from_message)


def _export(collection_id: str) -> v1.ExportFacesRequest:
    return v1.ExportFacesRequest(collection_id=collection_id)


def get_erasure(erasure_id: str, *, collection_id: str = "") -> Call[Erasure]:
    """What has become of an erasure. Raises FacerecError ERASURE_NOT_FOUND and as `get_person`."""
    request = v1.GetErasureRequest(collection_id=collection_id, erasure_id=erasure_id)
    return Call("GetErasure", request, lambda response: Erasure.from_progress(response, erasure_id))


def get_import(import_id: str, *, collection_id: str = "") -> Call[ImportReport]:
    """How far an import came; one that was never begun is at row 0. Raises FacerecError as `get_person`."""
    request = v1.GetImportRequest(collection_id=collection_id, import_id=import_id)
    return Call("GetImport", request, ImportReport.from_message)


class MatcherClient(Client):
    """The matcher, blocking."""

    service = MATCHER_SERVICE
    stub: ClassVar[Any] = v1.MatcherServiceStub

    def import_faces(
        self,
        batches: Iterable[FaceBatch],
        *,
        space: str,
        import_id: str,
        first_row: int = 0,
        dry_run: bool = False,
        ignore_duplicate_policy: bool = False,
        collection_id: str = "",
    ) -> ImportReport:
        """Add faces in bulk, each batch committed at once, over one call without a deadline.

        `import_id` names the import; after an interruption `get_import` says at which row to go on, which
        is `first_row` of the first batch given. Faces at fault are told of in the report, the others taken.
        A collection that refuses duplicates takes an import with `ignore_duplicate_policy` alone, for which
        a key takes the role admin.
        Raises FacerecError: MODEL_MISMATCH where `space` is not the collection's, OPTION_INVALID,
        ENCODING_INVALID, OVERLOADED and those of any call; and what `batches` raises.
        """

        def requests() -> Iterator[v1.ImportFacesRequest]:
            yield transfer.header(
                space=space,
                import_id=import_id,
                first_row=first_row,
                dry_run=dry_run,
                ignore_duplicate_policy=ignore_duplicate_policy,
                collection_id=collection_id,
            )
            for batch in batches:
                yield v1.ImportFacesRequest(chunk=batch.to_message())

        sent = Requests(requests())
        call = self._stub.ImportFaces.future(sent, metadata=self._metadata)
        with sent.sent_by(call, self.address):
            return ImportReport.from_message(call.result())

    def export_faces(self, *, collection_id: str = "") -> Generator[FaceBatch, None, None]:
        """All faces of a collection as they are at one moment, ordered by person.

        Over one call without a deadline, which ends with the iterator: where the loop is left early, or when
        the iterator is closed (`contextlib.closing` or `aclosing` says where). Raises FacerecError:
        COLLECTION_NOT_FOUND, OVERLOADED and those of any call.
        """
        call = self._stub.ExportFaces(_export(collection_id), metadata=self._metadata)
        try:
            yield from map(FaceBatch.from_message, call)
        except grpc.RpcError as error:
            raise from_rpc_error(error, self.address) from error
        finally:
            call.cancel()

    def export_person(self, person_id: str, *, collection_id: str = "") -> PersonExport:
        """All that is kept of one person, for whoever asks for their own data; it is put on record.

        Vectors come with a key of the role admin alone. Raises FacerecError: PERSON_NOT_FOUND, ID_INVALID and
        those of any call.
        """
        request = v1.ExportPersonRequest(collection_id=collection_id, person_id=person_id)
        call = self._stub.ExportPerson(request, timeout=self.timeout_seconds, metadata=self._metadata)
        try:
            return PersonExport.from_messages(list(call))
        except grpc.RpcError as error:
            raise from_rpc_error(error, self.address) from error
        finally:
            call.cancel()

    get_import = ask(get_import)

    enroll = ask(enroll)
    verify = ask(verify)
    identify = ask(identify)
    compare = ask(compare)
    get_person = ask(get_person)
    list_persons = each(list_persons)
    update_person = ask(update_person)
    merge_persons = ask(merge_persons)
    delete_person = ask(delete_person)
    list_faces = each(list_faces)
    get_face = ask(get_face)
    update_face = ask(update_face)
    delete_face = ask(delete_face)
    get_erasure = ask(get_erasure)


class AsyncMatcherClient(AsyncClient):
    """The matcher, on the running event loop."""

    service = MATCHER_SERVICE
    stub: ClassVar[Any] = v1.MatcherServiceStub

    async def import_faces(
        self,
        batches: AsyncIterable[FaceBatch],
        *,
        space: str,
        import_id: str,
        first_row: int = 0,
        dry_run: bool = False,
        ignore_duplicate_policy: bool = False,
        collection_id: str = "",
    ) -> ImportReport:
        """Add faces in bulk, each batch committed at once, over one call without a deadline.

        `import_id` names the import; after an interruption `get_import` says at which row to go on, which
        is `first_row` of the first batch given. Faces at fault are told of in the report, the others taken.
        A collection that refuses duplicates takes an import with `ignore_duplicate_policy` alone, for which
        a key takes the role admin.
        Raises FacerecError: MODEL_MISMATCH where `space` is not the collection's, OPTION_INVALID,
        ENCODING_INVALID, OVERLOADED and those of any call; and what `batches` raises.
        """

        async def requests() -> AsyncIterator[v1.ImportFacesRequest]:
            yield transfer.header(
                space=space,
                import_id=import_id,
                first_row=first_row,
                dry_run=dry_run,
                ignore_duplicate_policy=ignore_duplicate_policy,
                collection_id=collection_id,
            )
            async for batch in batches:
                yield v1.ImportFacesRequest(chunk=batch.to_message())

        sent = AsyncRequests(requests())
        call = self._stub.ImportFaces(sent, metadata=self._metadata)
        with sent.sent_by(call, self.address):
            return ImportReport.from_message(await call)

    async def export_faces(self, *, collection_id: str = "") -> AsyncGenerator[FaceBatch, None]:
        """All faces of a collection as they are at one moment, ordered by person.

        Over one call without a deadline, which ends with the iterator: where the loop is left early, or when
        the iterator is closed (`contextlib.closing` or `aclosing` says where). Raises FacerecError:
        COLLECTION_NOT_FOUND, OVERLOADED and those of any call.
        """
        call = self._stub.ExportFaces(_export(collection_id), metadata=self._metadata)
        try:
            async for message in call:
                yield FaceBatch.from_message(message)
        except grpc.RpcError as error:
            raise from_rpc_error(error, self.address) from error
        finally:
            call.cancel()

    async def export_person(self, person_id: str, *, collection_id: str = "") -> PersonExport:
        """All that is kept of one person, for whoever asks for their own data; it is put on record.

        Vectors come with a key of the role admin alone. Raises FacerecError: PERSON_NOT_FOUND, ID_INVALID and
        those of any call.
        """
        request = v1.ExportPersonRequest(collection_id=collection_id, person_id=person_id)
        call = self._stub.ExportPerson(request, timeout=self.timeout_seconds, metadata=self._metadata)
        try:
            return PersonExport.from_messages([message async for message in call])
        except grpc.RpcError as error:
            raise from_rpc_error(error, self.address) from error
        finally:
            call.cancel()

    get_import = ask_async(get_import)

    enroll = ask_async(enroll)
    verify = ask_async(verify)
    identify = ask_async(identify)
    compare = ask_async(compare)
    get_person = ask_async(get_person)
    list_persons = each_async(list_persons)
    update_person = ask_async(update_person)
    merge_persons = ask_async(merge_persons)
    delete_person = ask_async(delete_person)
    list_faces = each_async(list_faces)
    get_face = ask_async(get_face)
    update_face = ask_async(update_face)
    delete_face = ask_async(delete_face)
    get_erasure = ask_async(get_erasure)
