"""The servicer of imports and exports."""

import asyncio
from collections.abc import AsyncIterator

from facerec.matcher.v1 import matcher_pb2_grpc
from facerec.matcher.v1 import transfer_pb2 as transfer_pb
from facerec.serving.auth.errors import NotPermitted
from facerec.serving.middleware import call
from facerec.serving.middleware.chain import Context
from matcher_service.api.converters import requests, transfer
from matcher_service.domain import ids
from matcher_service.transfer.chunks import Chunk, Header, Progress, Refused
from matcher_service.transfer.exporter import Exporter
from matcher_service.transfer.importer import Importer


class TransferServicer(matcher_pb2_grpc.MatcherServiceServicer):
    """The methods that import and export faces."""

    def __init__(self, importer: Importer, exporter: Exporter, *, max_staleness_seconds: float) -> None:
        self._max_staleness_seconds = max_staleness_seconds
        self._importer = importer
        self._exporter = exporter

    async def ImportFaces(
        self, request_iterator: AsyncIterator[transfer_pb.ImportFacesRequest], context: Context
    ) -> transfer_pb.ImportFacesResponse:
        """Add faces in bulk."""
        header = await transfer.header(request_iterator)
        total, reported = Progress(next_row=header.first_row), list[Refused]()
        _check_may_ignore_policy(header)
        job = await self._importer.begin(header)
        async for request in request_iterator:
            _check_may_ignore_policy(header)
            chunk = await asyncio.to_thread(transfer.chunk, request)
            done, refused = await job.add(chunk)
            total = total.plus(done)
            reported += refused[: transfer.MAX_REPORTED - len(reported)]
        return transfer.import_message(total, reported)

    async def GetImport(
        self, request: transfer_pb.GetImportRequest, context: Context
    ) -> transfer_pb.GetImportResponse:
        """Read how far an import has come."""
        progress = await self._importer.get(
            ids.collection_id(request.collection_id), ids.import_id(request.import_id, "import_id")
        )
        return transfer.progress_message(progress)

    async def ExportFaces(  # type: ignore[override]  # the stubs only type generators
        self, request: transfer_pb.ExportFacesRequest, context: Context
    ) -> None:
        """Read all faces of a collection.

        Uses context.write and no generator: a time limit around a `yield` may expire inside gRPC, which then
        sends the caller no error.
        """

        async def write(space: str, chunk: Chunk) -> None:
            await context.write(await asyncio.to_thread(transfer.export_message, space, chunk))

        await self._exporter.export(
            ids.collection_id(request.collection_id),
            write,
            max_staleness=requests.max_staleness(request.consistency, self._max_staleness_seconds),
        )


def _check_may_ignore_policy(header: Header) -> None:
    """Raises NotPermitted: only the role admin may import without a duplicate check."""
    if header.ignores_policy and not call.is_admin():
        raise NotPermitted(
            "importing without a duplicate check requires the role admin: leave ignore_duplicate_policy "
            "unset, or use a key with that role",
            field="header.ignore_duplicate_policy",
        )
