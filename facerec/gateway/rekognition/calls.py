"""Calls of the services, one after another, for one request."""

from typing import Any, Final, TypeAlias

from google.protobuf.message import Message

from facerec.errors import Reason
from facerec.gateway import exchange
from facerec.gateway.failures import Failed
from facerec.gateway.forwarding import Forwarder
from facerec.gateway.methods import METHODS

Json: TypeAlias = dict[str, Any]

METHOD_OF: Final = {method.request: method for method in METHODS.values() if method.kind == "unary_unary"}
"""The unary method that takes each class of request."""


class Calls:
    """Calls the services as the current request's sender. Every function raises Failed."""

    def __init__(self, forwarder: Forwarder) -> None:
        self._forwarder = forwarder

    async def call(self, request: Message) -> Any:
        """The answer of the method that takes this class of request."""
        method = METHOD_OF[type(request)]
        data = await self._forwarder.unary(method, request.SerializeToString(), None)
        return method.response.FromString(data)

    async def call_unless(self, request: Message, *reasons: Reason) -> Any | None:
        """As `call`; None if it fails for one of these reasons, which is then no failure of the request."""
        try:
            return await self.call(request)
        except Failed as failed:
            if failed.reason not in reasons:
                raise
        exchange.current().forget_failure()
        return None
