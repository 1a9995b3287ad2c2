"""What the gateway answers beside every method at `/SERVICE/METHOD`: paths with a form of their own."""

from typing import Protocol

from facerec.gateway.admission import BodyReader, Scope
from facerec.gateway.answers import AnswerSender
from facerec.gateway.exchange import Exchange


class Site(Protocol):
    """Answers some of the requests; the gateway's limits on number, heads, bodies and origins hold."""

    def takes(self, scope: Scope, current: Exchange) -> bool:
        """Whether it answers a request, by its path and headers."""
        ...

    async def answer(self, scope: Scope, body: BodyReader, answer: AnswerSender, current: Exchange) -> None:
        """Answer a request, its errors included: `body.check()` raises Failed for one beyond a limit.

        A call that it makes is counted and logged under `current.method`, which it sets.
        """
        ...
