"""The interceptor that makes a span of each call."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from facerec.serving import spans
from facerec.serving.counting import code_of
from facerec.serving.wrapping import HEALTH, Context, WrappingInterceptor, within


class TracingInterceptor(WrappingInterceptor):
    """Outside of all others, so that a span has the time and the code that the caller sees."""

    def wrap(self, method: str, handler: Any) -> Any:
        """The same handler within a span; health is not worth one."""
        if method.startswith(HEALTH):
            return handler
        return within(handler, lambda context: _traced(method.lstrip("/"), context))


@contextlib.asynccontextmanager
async def _traced(method: str, context: Context) -> AsyncIterator[None]:
    with spans.of_call(method, context.invocation_metadata()) as span:
        code = "OK"
        try:
            yield
        except BaseException as error:
            code = code_of(error, context)
            raise
        finally:
            span.set_attribute("rpc.grpc.status", code)
