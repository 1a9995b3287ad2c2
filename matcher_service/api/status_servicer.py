"""The part of CollectionService's servicer that is about the matcher itself and its caller."""

from facerec.matcher.v1 import caller_pb2 as caller_pb
from facerec.matcher.v1 import matcher_pb2_grpc
from facerec.serving.auth.caller_message import caller_message
from facerec.serving.middleware.chain import Context


class StatusServicer(matcher_pb2_grpc.CollectionServiceServicer):
    """Answers what needs no collection."""

    async def GetCaller(
        self, request: caller_pb.GetCallerRequest, context: Context
    ) -> caller_pb.GetCallerResponse:
        """Describe the caller."""
        return caller_pb.GetCallerResponse(caller=caller_message())
