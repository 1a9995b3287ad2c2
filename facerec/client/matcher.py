"""Clients of the matcher."""

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from typing import Any, ClassVar

from facerec.client.base import AsyncClient, Client
from facerec.client.calls import decisions, enrollment, faces, persons, transfer
from facerec.client.channel import MATCHER_SERVICE
from facerec.client.methods import (
    async_collected,
    async_paged,
    async_stream,
    async_unary,
    build_request,
    collected,
    described_by,
    paged,
    stream,
    unary,
    with_common_errors,
)
from facerec.client.results.transfer import FaceBatch, ImportReport
from facerec.client.sending import AsyncRequests, Requests
from facerec.matcher import v1


class MatcherClient(Client):
    """A blocking client of the matcher. Threads may share it; make it after a fork.

    Use it in a `with`, or call `close`.

    Args:
        address: `HOST:PORT`, or a gRPC target such as `unix:/run/facerec.sock`.
        timeout_seconds: The deadline of each call, in seconds above 0. Default: 30.
        security: A key and TLS, for locked services. Default: plain text, without a key.

    Raises:
        FacerecError: OPTION_INVALID (`field` names the argument), NOT_PERMITTED (a key in plain text to
            another machine).

    Example:
        >>> with MatcherClient("127.0.0.1:50052", timeout_seconds=60) as matcher:
        ...     enrollment = matcher.enroll("ann", Path("ann.jpg").read_bytes(), display_name="Ann")
        ...     answer = matcher.verify("ann", Path("door.jpg").read_bytes())
        >>> enrollment.person.display_name, answer.match
        ('Ann', True)
    """

    service = MATCHER_SERVICE
    stub: ClassVar[Any] = v1.MatcherServiceStub

    enroll = unary(enrollment.enroll)
    verify = unary(decisions.verify)
    identify = unary(decisions.identify)
    compare = unary(decisions.compare)

    get_person = unary(persons.get_person)
    get_persons = unary(persons.get_persons)
    list_persons = paged(persons.list_persons)
    update_person = unary(persons.update_person)
    rename_person = unary(persons.rename_person)
    move_faces = unary(persons.move_faces)
    merge_persons = unary(persons.merge_persons)
    export_person = collected(persons.export_person)
    delete_person = unary(persons.delete_person)
    delete_persons = unary(persons.delete_persons)
    get_erasure = unary(persons.get_erasure)

    list_faces = paged(faces.list_faces)
    get_face = unary(faces.get_face)
    update_face = unary(faces.update_face)
    delete_face = unary(faces.delete_face)

    get_import = unary(transfer.get_import)
    export_faces = stream(transfer.export_faces)

    @with_common_errors
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
        """Import faces in bulk over one call, which has no deadline. Each batch is committed at once.

        An invalid face is refused and reported, the others are imported; the same vector is stored once for a
        person. Batches committed before an interruption stay: continue at the `next_row` of `get_import`.

        Args:
            batches: The faces, in batches of 1 to 10,000; for the asyncio client an asynchronous iterable of
                them.
            space: The space of all vectors, which is the collection's.
            import_id: An id for the import, by which it is resumed after an interruption, such as a hash of
                its source. 1 to 128 characters.
            first_row: The index in the whole import of the first face given, from 0: the `next_row` of
                `get_import`. An import has at most 4,294,967,295 faces. Default: 0.
            dry_run: Whether everything is checked and nothing is written. Default: False.
            ignore_duplicate_policy: Imports faces without checking for duplicates, which is required where
                the collection refuses duplicates. It needs a key of the role `admin`. Default: False.
            collection_id: The collection; "" is `default`.

        Returns:
            What this call did, with the first 1,000 faces that were refused.

        Raises:
            FacerecError: MODEL_MISMATCH (`space` is not the collection's), ENCODING_INVALID (a batch of
                another shape), OPTION_INVALID (`first_row` is not the import's `next_row`, a column of a
                batch is of another length, or the collection refuses duplicates), ID_INVALID,
                COLLECTION_NOT_FOUND, NOT_PERMITTED (also `ignore_duplicate_policy` without the role `admin`).
            Exception: Whatever `batches` raises.

        Example:
            >>> batch = FaceBatch(np.full((2, 128), 0.1, np.float32), ["carl", "dora"])
            >>> report = matcher.import_faces(
            ...     [batch], space="dlib-resnet-v1/small/150x0.25", import_id="people-2026"
            ... )
            >>> report.faces_added, report.rows_refused, matcher.get_import("people-2026").next_row
            (2, 0, 2)
        """
        header = build_request(
            transfer.import_header,
            space=space,
            import_id=import_id,
            first_row=first_row,
            dry_run=dry_run,
            ignore_duplicate_policy=ignore_duplicate_policy,
            collection_id=collection_id,
        )

        def requests() -> Iterator[v1.ImportFacesRequest]:
            yield header
            for batch in batches:
                yield v1.ImportFacesRequest(chunk=batch.to_message())

        sent = Requests(requests())
        call = self._open_stub().ImportFaces.future(sent, metadata=self._metadata)
        with sent.attached_to(call, self.address):
            return ImportReport.from_message(call.result())


class AsyncMatcherClient(AsyncClient):
    """An asyncio client of the matcher. It belongs to the event loop of its first call.

    Use it in an `async with`, or await `close`. It has the methods of `MatcherClient`, to be awaited;
    `list_persons`, `list_faces` and `export_faces` are asynchronous iterators.

    Args:
        address: `HOST:PORT`, or a gRPC target such as `unix:/run/facerec.sock`.
        timeout_seconds: The deadline of each call, in seconds above 0. Default: 30.
        security: A key and TLS, for locked services. Default: plain text, without a key.

    Raises:
        FacerecError: OPTION_INVALID (`field` names the argument), NOT_PERMITTED (a key in plain text to
            another machine). A call on another event loop raises OPTION_INVALID.

    Example:
        >>> async def main():
        ...     async with AsyncMatcherClient("127.0.0.1:50052") as matcher:
        ...         found = await matcher.identify(Path("door.jpg").read_bytes())
        ...         names = [person.person_id async for person in matcher.list_persons()]
        ...         async with contextlib.aclosing(matcher.export_faces()) as exported:
        ...             sizes = [len(batch) async for batch in exported]
        ...     return found.faces[0].candidates[0].person_id, names, sizes
        >>> asyncio.run(main())
        ('ann', ['ann', 'bob'], [2])
    """

    service = MATCHER_SERVICE
    stub: ClassVar[Any] = v1.MatcherServiceStub

    enroll = async_unary(enrollment.enroll)
    verify = async_unary(decisions.verify)
    identify = async_unary(decisions.identify)
    compare = async_unary(decisions.compare)

    get_person = async_unary(persons.get_person)
    get_persons = async_unary(persons.get_persons)
    list_persons = async_paged(persons.list_persons)
    update_person = async_unary(persons.update_person)
    rename_person = async_unary(persons.rename_person)
    move_faces = async_unary(persons.move_faces)
    merge_persons = async_unary(persons.merge_persons)
    export_person = async_collected(persons.export_person)
    delete_person = async_unary(persons.delete_person)
    delete_persons = async_unary(persons.delete_persons)
    get_erasure = async_unary(persons.get_erasure)

    list_faces = async_paged(faces.list_faces)
    get_face = async_unary(faces.get_face)
    update_face = async_unary(faces.update_face)
    delete_face = async_unary(faces.delete_face)

    get_import = async_unary(transfer.get_import)
    export_faces = async_stream(transfer.export_faces)

    @described_by(MatcherClient.import_faces)
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
        """See `MatcherClient.import_faces`."""
        header = build_request(
            transfer.import_header,
            space=space,
            import_id=import_id,
            first_row=first_row,
            dry_run=dry_run,
            ignore_duplicate_policy=ignore_duplicate_policy,
            collection_id=collection_id,
        )

        async def requests() -> AsyncIterator[v1.ImportFacesRequest]:
            yield header
            async for batch in batches:
                yield v1.ImportFacesRequest(chunk=batch.to_message())

        sent = AsyncRequests(requests())
        call = self._open_stub().ImportFaces(sent, metadata=self._metadata)
        with sent.attached_to(call, self.address):
            return ImportReport.from_message(await call)
