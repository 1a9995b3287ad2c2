"""The error of a closed client that is used again."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from facerec.client import (
    AsyncCollectionClient,
    AsyncEncoderClient,
    AsyncMatcherClient,
    CollectionClient,
    EncoderClient,
    MatcherClient,
)
from tests.unit.client.flaky import OVERLOADED, PagedMatcher, serving

NOBODY = "127.0.0.1:1"


async def nothing() -> AsyncIterator[Any]:
    """An asynchronous iterable of no items."""
    for item in list[Any]():
        yield item


def imported(client: Any, batches: Any) -> Any:
    """An import of no faces."""
    return client.import_faces(batches, space="a", import_id="i")


BLOCKING: list[tuple[Any, Callable[[Any], Any]]] = [
    (EncoderClient, lambda client: client.encode(b"image")),
    (EncoderClient, lambda client: list(client.encode_stream([]))),
    (MatcherClient, lambda client: client.get_person("ann")),
    (MatcherClient, lambda client: list(client.list_persons())),
    (MatcherClient, lambda client: list(client.export_faces())),
    (MatcherClient, lambda client: client.export_person("ann")),
    (MatcherClient, lambda client: imported(client, [])),
    (MatcherClient, lambda client: client.with_options(timeout_seconds=2).get_person("ann")),
    (MatcherClient, lambda client: client.__enter__()),
    (CollectionClient, lambda client: client.get_collection()),
]


@pytest.mark.parametrize(("kind", "use"), BLOCKING)
def test_a_closed_client_says_which_it_is(kind: Any, use: Callable[[Any], Any]) -> None:
    client = kind(NOBODY)
    client.close()
    with pytest.raises(RuntimeError, match=rf"the {kind.__name__} of 127\.0\.0\.1:1 is closed"):
        use(client)
    client.close()
    assert client.is_closed


async def every(items: Any) -> list[Any]:
    return [item async for item in items]


ON_LOOP: list[tuple[Any, Callable[[Any], Any]]] = [
    (AsyncEncoderClient, lambda client: client.encode(b"image")),
    (AsyncEncoderClient, lambda client: every(client.encode_stream(nothing()))),
    (AsyncMatcherClient, lambda client: client.get_person("ann")),
    (AsyncMatcherClient, lambda client: every(client.list_persons())),
    (AsyncMatcherClient, lambda client: every(client.export_faces())),
    (AsyncMatcherClient, lambda client: client.export_person("ann")),
    (AsyncMatcherClient, lambda client: imported(client, nothing())),
    (AsyncMatcherClient, lambda client: client.with_options(timeout_seconds=2).get_person("ann")),
    (AsyncMatcherClient, lambda client: client.__aenter__()),
    (AsyncCollectionClient, lambda client: client.get_collection()),
]


@pytest.mark.parametrize(("kind", "use"), ON_LOOP)
async def test_a_closed_asyncio_client_says_which_it_is(kind: Any, use: Callable[[Any], Any]) -> None:
    client = kind(NOBODY)
    await client.close()
    with pytest.raises(RuntimeError, match=rf"the {kind.__name__} of 127\.0\.0\.1:1 is closed"):
        await use(client)
    await client.close()
    assert client.is_closed


async def test_a_list_ends_where_its_client_is_closed_between_two_pages() -> None:
    async with serving(matcher=PagedMatcher(OVERLOADED)) as server:
        client = AsyncMatcherClient(server.address)
        persons = client.list_persons(page_size=1)
        await anext(persons)
        await client.with_options(request_id="a").close()
        with pytest.raises(RuntimeError, match="AsyncMatcherClient"):
            await anext(persons)
