"""The part of CollectionService's servicer that is about the matcher itself and its caller."""

from facerec.matcher.v1 import caller_pb2 as caller_pb
from facerec.matcher.v1 import matcher_pb2_grpc
from facerec.matcher.v1 import status_pb2 as status_pb
from facerec.serving.auth.caller_message import caller_message
from facerec.serving.middleware.chain import Context
from matcher_service.api.converters.status import status_message
from matcher_service.status import StatusReader


class StatusServicer(matcher_pb2_grpc.CollectionServiceServicer):
    """Answers what is about no collection."""

    def __init__(self, status: StatusReader) -> None:
        self._status = status

    async def GetCaller(
        self, request: caller_pb.GetCallerRequest, context: Context
    ) -> caller_pb.GetCallerResponse:
        """Describe the caller."""
        return caller_pb.GetCallerResponse(caller=caller_message())

    async def GetStatus(
        self, request: status_pb.GetStatusRequest, context: Context
    ) -> status_pb.GetStatusResponse:
        """Describe this replica."""
        return status_message(await self._status.read())
