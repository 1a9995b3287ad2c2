"""The interceptor that gives a call a deadline where its caller gave none."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import grpc.aio

from facerec.errors import FacerecError, Reason
from facerec.serving import status

Context = grpc.aio.ServicerContext[Any, Any]


class DeadlineInterceptor(grpc.aio.ServerInterceptor):
    """Ends a unary call without a deadline after `most_seconds`, and with it the work for it.

    gRPC itself ends those that bring one. A stream lasts as long as its items come.
    """

    def __init__(self, most_seconds: float) -> None:
        self._most_seconds = most_seconds

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Wrap the handler found for the call."""
        handler = await continuation(handler_call_details)
        if handler is None or handler.request_streaming or handler.response_streaming:
            return handler
        behavior, most_seconds = handler.unary_unary, self._most_seconds

        async def handle(request: Any, context: Context) -> Any:
            if context.time_remaining() is not None:
                return await behavior(request, context)
            try:
                async with asyncio.timeout(most_seconds) as limit:
                    return await behavior(request, context)
            except TimeoutError:
                if not limit.expired():
                    raise
                late = f"the call brought no deadline and took longer than {most_seconds:g} s"
                await status.abort(context, FacerecError(late, reason=Reason.DEADLINE_EXCEEDED))

        return grpc.unary_unary_rpc_method_handler(
            handle,
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )
