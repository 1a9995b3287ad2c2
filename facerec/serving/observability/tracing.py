"""The middleware that makes a span of each call."""

from typing import Any

from facerec.serving.middleware.chain import Context, Handler, Method
from facerec.serving.middleware.request_metrics import code_of
from facerec.serving.observability import spans


def traced(method: Method, handler: Handler) -> Handler:
    """The same within a span; health is not worth one.

    Outside of all other middleware, so that a span has the time and the code that the caller sees.
    """
    if method.is_health:
        return handler

    async def handle(request: Any, context: Context) -> Any:
        with spans.of_call(method.path.lstrip("/"), context.invocation_metadata()) as span:
            code = "OK"
            try:
                return await handler(request, context)
            except BaseException as error:
                code = code_of(error, context)
                raise
            finally:
                span.set_attribute("rpc.grpc.status", code)

    return handle
