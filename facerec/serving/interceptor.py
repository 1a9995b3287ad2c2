"""The interceptor that turns what a servicer raises into the call's status."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio

from facerec.errors import FacerecError
from facerec.serving import status
from facerec.serving.wrapping import Context, WrappingInterceptor, within


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


class ErrorInterceptor(WrappingInterceptor):
    """Maps errors of every handler. The servicers' methods are coroutines or async generators."""

    def wrap(self, method: str, handler: Any) -> Any:
        """The same handler, its errors mapped."""
        return within(handler, lambda context: mapped(context, method))
