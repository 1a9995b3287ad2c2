"""A client's call of one method: the RPC, its request, and how its responses are read."""

import copy
import dataclasses
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from google.protobuf.message import Message

A = TypeVar("A")


@dataclasses.dataclass(frozen=True)
class Call(Generic[A]):
    """An RPC with one request.

    Attributes:
        method: The RPC's name in the contract.
        request: Its request.
        read: Converts the response to the answer. For streamed responses it gets each response (`stream`) or
            the list of all (`collected`).
    """

    method: str
    request: Message
    read: Callable[[Any], A]


@dataclasses.dataclass(frozen=True)
class PagedCall(Generic[A]):
    """A unary RPC that answers a list, a page at a time.

    Attributes:
        method: The RPC's name in the contract.
        request: The request for the first page.
        field: The response's repeated field.
        read: Converts a message of that field to an item of the list.
    """

    method: str
    request: Any
    field: str
    read: Callable[[Any], A]

    def page(self, token: str) -> Call[tuple[list[A], str]]:
        """The call for one page, which answers its items and the next page's token, empty at the end."""
        request = copy.deepcopy(self.request)
        request.page_token = token
        return Call(self.method, request, self._read_page)

    def _read_page(self, response: Any) -> tuple[list[A], str]:
        return [self.read(item) for item in getattr(response, self.field)], response.next_page_token
