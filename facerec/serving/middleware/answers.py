"""The middleware that makes bytes of answers, and counts them until they are written."""

from collections.abc import Callable
from typing import Any, Final, cast

from facerec.serving.middleware import call
from facerec.serving.middleware.chain import Context, Handler, Method
from facerec.serving.middleware.reading.budget import ByteBudget, Lease

UNCOUNTED_BYTES: Final = 4096  # a call that is open takes several times as much whatever it answers
WAIT_SECONDS: Final = 5.0


class AnswerWriter:
    """Holds the bytes of answers in a budget that callers share, until their callers have taken them in.

    gRPC keeps an answer for as long as its caller does not read it, which may be for ever, and a call's
    handler has ended by then. One for which there is no room ends its call as OVERLOADED: a stream's after
    WAIT_SECONDS. Those up to UNCOUNTED_BYTES always have room.
    """

    def __init__(self, budget: ByteBudget) -> None:
        self._budget = budget

    def __call__(self, method: Method, handler: Handler) -> Handler:
        """The same with its answers counted."""
        return self._many(method, handler) if method.response_streaming else self._one(method, handler)

    def _one(self, method: Method, handler: Handler) -> Handler:
        serialize, budget = method.serialize, self._budget

        async def handle(request: Any, context: Context) -> Any:
            raw = serialize(await handler(request, context))
            if len(raw) > UNCOUNTED_BYTES:
                lease = _until_done(budget, context)
                lease.take(len(raw))
            return raw

        return handle

    def _many(self, method: Method, handler: Handler) -> Handler:
        serialize, budget = method.serialize, self._budget

        async def handle(request: Any, context: Context) -> Any:
            lease = _until_done(budget, context)
            return await handler(request, cast(Context, _CountedWrites(context, serialize, lease)))

        return handle


class _CountedWrites:
    """A context that writes messages as bytes, which hold the lease until they are written."""

    def __init__(self, context: Context, serialize: Callable[[Any], bytes], lease: Lease) -> None:
        self._context = context
        self._serialize = serialize
        self._lease = lease

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    async def write(self, answer: Any) -> None:
        """Write an answer. Raises FacerecError OVERLOADED."""
        raw = self._serialize(answer)
        if len(raw) > UNCOUNTED_BYTES:
            await self._lease.wait(len(raw), WAIT_SECONDS)
        await self._context.write(raw)
        self._lease.end()


def _until_done(budget: ByteBudget, context: Context) -> Lease:
    """A lease that ends with the call: when its last answer is written, or its caller has gone."""
    lease = Lease(budget, call.caller_key())
    done: Any = context.add_done_callback  # its stub has a protocol that no function is of
    done(lambda _: lease.end())
    return lease
