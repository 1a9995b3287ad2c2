"""The middleware that sets the current call's deadline, and limits calls without one."""

import asyncio
from typing import Any

from facerec.errors import FacerecError, Reason
from facerec.serving.middleware import call
from facerec.serving.middleware.chain import Context, Handler, Method


class Deadlines:
    """Sets the deadline for `call.remaining_seconds`; ends a unary call without one after `max_seconds`.

    gRPC itself ends calls at their deadline. A stream without a deadline is not limited.
    """

    def __init__(self, max_seconds: float) -> None:
        self._max_seconds = max_seconds

    def __call__(self, method: Method, handler: Handler) -> Handler:
        """Wrap a handler. The result raises FacerecError DEADLINE_EXCEEDED."""
        is_stream = method.request_streaming or method.response_streaming
        without_deadline = handler if is_stream else self._limited(handler)

        async def handle(request: Any, context: Context) -> Any:
            remaining_seconds = context.time_remaining()
            if remaining_seconds is None:
                return await without_deadline(request, context)
            call.set_deadline(remaining_seconds)
            return await handler(request, context)

        return handle

    def _limited(self, handler: Handler) -> Handler:
        max_seconds = self._max_seconds

        async def handle(request: Any, context: Context) -> Any:
            try:
                async with asyncio.timeout(max_seconds) as limit:
                    return await handler(request, context)
            except TimeoutError:
                if not limit.expired():
                    raise
                message = f"the call has no deadline and took longer than {max_seconds:g} s"
                raise FacerecError(message, reason=Reason.DEADLINE_EXCEEDED) from None

        return handle
