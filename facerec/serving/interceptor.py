"""The interceptor that turns what a servicer raises into the call's status."""

import contextlib
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
import grpc.aio

from facerec.errors import FacerecError
from facerec.serving import status

Context = grpc.aio.ServicerContext[Any, Any]


@contextlib.asynccontextmanager
async def mapped(context: Context, method: str) -> AsyncIterator[None]:
    """Run a handler; whatever it raises ends the call with a status that hides nothing useful."""
    try:
        yield
    except grpc.aio.AbortError:
        raise
    except NotImplementedError as error:
        # The generated servicer sets the code before it raises; anything else is a fault of ours.
        if context.code() != grpc.StatusCode.UNIMPLEMENTED:
            await status.abort(context, status.hide(error, method))
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, f"{method} is not offered by this version")
    except FacerecError as error:
        await status.abort(context, error)
    except Exception as error:
        await status.abort(context, status.hide(error, method))


class ErrorInterceptor(grpc.aio.ServerInterceptor):
    """Maps errors of every handler. The servicers' methods are coroutines or async generators."""

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Wrap the handler found for the call."""
        handler = await continuation(handler_call_details)
        if handler is None:  # an unknown method: grpc answers UNIMPLEMENTED itself
            return None
        method = str(handler_call_details.method)
        requests = "stream" if handler.request_streaming else "unary"
        answers = "stream" if handler.response_streaming else "unary"
        kind = f"{requests}_{answers}"
        behavior = getattr(handler, kind)
        wrap = _generating if inspect.isasyncgenfunction(behavior) else _awaiting
        return getattr(grpc, f"{kind}_rpc_method_handler")(
            wrap(behavior, method),
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )


def _awaiting(behavior: Callable[..., Any], method: str) -> Callable[..., Any]:
    async def handle(request: Any, context: Context) -> Any:
        async with mapped(context, method):
            return await behavior(request, context)

    return handle


def _generating(behavior: Callable[..., AsyncIterator[Any]], method: str) -> Callable[..., Any]:
    async def handle(request: Any, context: Context) -> AsyncIterator[Any]:
        async with mapped(context, method):
            async for answer in behavior(request, context):
                yield answer

    return handle
