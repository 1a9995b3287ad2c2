"""The layer that makes a span of each call."""

import contextlib
from collections.abc import Iterator
from typing import Any

from facerec.serving import spans
from facerec.serving.counting import code_of
from facerec.serving.layers import HEALTH, Context, within


def traced(method: str, handler: Any) -> Any:
    """The same handler within a span; health is not worth one.

    Outside of all other layers, so that a span has the time and the code that the caller sees.
    """
    if method.startswith(HEALTH):
        return handler
    return within(handler, lambda context: _span(method.lstrip("/"), context))


@contextlib.contextmanager
def _span(method: str, context: Context) -> Iterator[None]:
    with spans.of_call(method, context.invocation_metadata()) as span:
        code = "OK"
        try:
            yield
        except BaseException as error:
            code = code_of(error, context)
            raise
        finally:
            span.set_attribute("rpc.grpc.status", code)
