"""The middleware that gives a call a deadline where its caller gave none."""

import asyncio
from typing import Any

from facerec.errors import FacerecError, Reason
from facerec.serving.middleware.chain import Context, Handler, Method


class Deadlines:
    """Ends a unary call without a deadline after `most_seconds`, and with it the work for it.

    gRPC itself ends those that bring one. A stream lasts as long as its items come.
    """

    def __init__(self, most_seconds: float) -> None:
        self._most_seconds = most_seconds

    def __call__(self, method: Method, handler: Handler) -> Handler:
        """The same, ended in time. Raises FacerecError DEADLINE_EXCEEDED."""
        if method.request_streaming or method.response_streaming:
            return handler
        most_seconds = self._most_seconds

        async def handle(request: Any, context: Context) -> Any:
            if context.time_remaining() is not None:
                return await handler(request, context)
            try:
                async with asyncio.timeout(most_seconds) as limit:
                    return await handler(request, context)
            except TimeoutError:
                if not limit.expired():
                    raise
                late = f"the call brought no deadline and took longer than {most_seconds:g} s"
                raise FacerecError(late, reason=Reason.DEADLINE_EXCEEDED) from None

        return handle
