"""The middleware that records a span of each call."""

from typing import Any

from facerec.serving.middleware.chain import Context, Handler, Method
from facerec.serving.middleware.request_metrics import code_of
from facerec.serving.observability import spans


def trace_calls(method: Method, handler: Handler) -> Handler:
    """Wrap a handler so that its calls are recorded as spans; health checks are not.

    The outermost middleware, so that a span has the duration and the code that the caller sees.
    """
    if method.is_health:
        return handler

    async def handle(request: Any, context: Context) -> Any:
        with spans.call_span(method.path.lstrip("/"), context.invocation_metadata()) as span:
            code = "OK"
            try:
                return await handler(request, context)
            except BaseException as error:
                code = code_of(error, context)
                raise
            finally:
                spans.end(span, code, failed=code in spans.SERVER_ERRORS)

    return handle
