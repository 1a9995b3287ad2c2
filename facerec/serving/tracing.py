"""The interceptor that makes a span of each call."""

from collections.abc import Callable
from typing import Any

from facerec.serving import spans
from facerec.serving.counting import HEALTH, code_of
from facerec.serving.wrapping import Context, WrappingInterceptor, behavior, made_anew


class TracingInterceptor(WrappingInterceptor):
    """Outside of all others, so that a span has the time and the code that the caller sees."""

    def wrap(self, method: str, handler: Any) -> Any:
        """The same handler within a span; health is not worth one."""
        if method.startswith(HEALTH):
            return handler
        does, generates = behavior(handler)
        return made_anew(handler, (_generating if generates else _awaiting)(method.lstrip("/"), does))


def _awaiting(method: str, does: Callable[..., Any]) -> Callable[..., Any]:
    async def handle(request: Any, context: Context) -> Any:
        with spans.of_call(method, context.invocation_metadata()) as span:
            code = "OK"
            try:
                return await does(request, context)
            except BaseException as error:
                code = code_of(error, context)
                raise
            finally:
                span.set_attribute("rpc.grpc.status", code)

    return handle


def _generating(method: str, does: Callable[..., Any]) -> Callable[..., Any]:
    async def handle(request: Any, context: Context) -> Any:
        with spans.of_call(method, context.invocation_metadata()) as span:
            code = "OK"
            try:
                async for answer in does(request, context):
                    yield answer
            except BaseException as error:
                code = code_of(error, context)
                raise
            finally:
                span.set_attribute("rpc.grpc.status", code)

    return handle
