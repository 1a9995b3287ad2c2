"""The middleware that serializes answers and counts their bytes until they are written."""

from collections.abc import Callable
from typing import Any, Final, cast

from facerec.serving.fairness.byte_budget import FairByteBudget, Reservation
from facerec.serving.middleware import call
from facerec.serving.middleware.chain import Context, Handler, Method

UNCOUNTED_BYTES: Final = 4096  # an open call takes several times as much by itself
WAIT_SECONDS: Final = 5.0


class AnswerWriter:
    """Counts the bytes of answers in a budget that callers share, until the callers have read them.

    gRPC keeps an answer until its caller reads it, which may be never, and the handler has ended by then. An
    answer that does not fit into the budget ends its call as OVERLOADED, in a stream after WAIT_SECONDS.
    Answers of up to UNCOUNTED_BYTES are not counted.
    """

    def __init__(self, budget: FairByteBudget) -> None:
        self._budget = budget

    def __call__(self, method: Method, handler: Handler) -> Handler:
        """Wrap a handler so that its answers are serialized and counted."""
        return self._stream(method, handler) if method.response_streaming else self._unary(method, handler)

    def _unary(self, method: Method, handler: Handler) -> Handler:
        serialize, budget = method.serialize, self._budget

        async def handle(request: Any, context: Context) -> Any:
            raw = serialize(await handler(request, context))
            if len(raw) > UNCOUNTED_BYTES:
                reservation = _until_done(budget, context)
                reservation.take(len(raw))
            return raw

        return handle

    def _stream(self, method: Method, handler: Handler) -> Handler:
        serialize, budget = method.serialize, self._budget

        async def handle(request: Any, context: Context) -> Any:
            reservation = _until_done(budget, context)
            return await handler(request, cast(Context, _CountedWrites(context, serialize, reservation)))

        return handle


class _CountedWrites:
    """A context that serializes answers and reserves their bytes until they are written."""

    def __init__(self, context: Context, serialize: Callable[[Any], bytes], reservation: Reservation) -> None:
        self._context = context
        self._serialize = serialize
        self._reservation = reservation

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    async def write(self, answer: Any) -> None:
        """Write an answer. Raises FacerecError OVERLOADED."""
        raw = self._serialize(answer)
        if len(raw) > UNCOUNTED_BYTES:
            await self._reservation.wait(len(raw), WAIT_SECONDS)
        await self._context.write(raw)
        self._reservation.release()


def _until_done(budget: FairByteBudget, context: Context) -> Reservation:
    """A reservation that ends with the call: its last answer is written, or its caller has gone."""
    reservation = Reservation(budget, call.share_key())
    add_done_callback: Any = context.add_done_callback  # the stub's protocol fits no function
    add_done_callback(lambda _: reservation.release())
    return reservation
