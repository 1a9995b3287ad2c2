"""Garbage of failed requests is collected, for a small part of the time."""

import asyncio
import gc

import pytest

from facerec.serving.middleware.reading import garbage_collector
from facerec.serving.middleware.reading.garbage_collector import GarbageCollector


@pytest.fixture
def collections(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """One entry for each collection."""
    seen: list[None] = []
    monkeypatch.setattr(gc, "collect", lambda: seen.append(None))
    return seen


async def test_garbage_is_collected_once_so_many_bytes_have_failed(collections: list[None]) -> None:
    watched = GarbageCollector(1000)
    watched.count_failed(1000)
    await asyncio.sleep(0)
    assert not collections
    watched.count_failed(1)
    await asyncio.sleep(0)
    assert len(collections) == 1


async def test_failing_requests_trigger_collections_a_small_part_of_the_time(
    collections: list[None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(garbage_collector, "PAUSE_TIMES", float("inf"))
    watched = GarbageCollector(1000)
    for _ in range(10):
        watched.count_failed(2000)
        await asyncio.sleep(0)
    assert len(collections) == 1
