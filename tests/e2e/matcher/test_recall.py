"""An index's recall, measured on request and regularly by `maintain`."""

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from facerec.errors import Reason
from facerec.matcher.v1 import review_pb2
from matcher_service.maintenance import runner
from matcher_service.maintenance.runner import MaintenanceOptions
from tests.benchmarks.vectors import Dataset
from tests.e2e.matcher.requests import refused
from tests.fixtures.dataset import load
from tests.fixtures.matcher import RunningMatcher

PEOPLE = Dataset(1000, 3.0, seed=12)


@pytest.fixture
async def administrator(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database_url)
    await load(connection, PEOPLE.all())
    await connection.execute("UPDATE facerec.collection SET index_above_faces = 1000")
    yield connection
    await connection.close()


async def measure(matcher: RunningMatcher, **fields: Any) -> review_pb2.MeasureRecallResponse:
    request = review_pb2.MeasureRecallRequest(**fields)
    found: review_pb2.MeasureRecallResponse = await matcher.collections.MeasureRecall(request)
    return found


async def test_an_index_is_compared_with_exact_scans(
    matcher: RunningMatcher, administrator: asyncpg.Connection, database_url: str
) -> None:
    await runner.run_once(MaintenanceOptions(database_url))
    good = await measure(matcher, samples=100)
    assert good.indexed
    assert good.samples == 100
    assert good.recall.value > 0.9
    assert good.agreement.value > 0.98
    assert good.recall.low <= good.recall.value <= good.recall.high
    assert good.recall.low < good.recall.high
    assert good.far_recall.value > 0.9
    kept = await measure(matcher, samples=100, request_id="r")

    # An index searched in one of its lists misses people, and this is what says so.
    await administrator.execute("UPDATE facerec.collection SET index_effort = 1")
    poor = await measure(matcher, samples=100)
    assert poor.recall.high < good.recall.value
    assert poor.agreement.value > 0.98, "nobody near enough is confirmed, whatever the index missed"
    assert poor.confirmed.value > good.confirmed.value
    assert await measure(matcher, samples=100, request_id="r") == kept != poor

    # Trusted with anything it finds, it answers wrongly wherever it misses.
    await administrator.execute(
        "UPDATE facerec.collection SET acceptance_threshold = 4, identify_threshold = 4"
    )
    trusted = await measure(matcher, samples=100)
    assert trusted.agreement.count == trusted.recall.count + trusted.far_recall.count < 98
    assert trusted.confirmed.count == 0

    # Where the index is trusted with nothing, every answer is confirmed and therefore right.
    await administrator.execute("UPDATE facerec.collection SET acceptance_threshold = 0")
    confirmed = await measure(matcher, samples=50)
    assert (confirmed.confirmed.count, confirmed.agreement.count) == (50, 50)


async def test_maintenance_measures_recall_again_and_has_more_lists_read_if_it_is_too_low(
    administrator: asyncpg.Connection, database_url: str
) -> None:
    await runner.run_once(MaintenanceOptions(database_url))
    built = await administrator.fetchrow("SELECT index_effort, recall_time FROM facerec.collection")
    assert built is not None
    await runner.run_once(MaintenanceOptions(database_url))
    assert await administrator.fetchval("SELECT recall_time FROM facerec.collection") == built["recall_time"]
    await administrator.execute("UPDATE facerec.collection SET index_effort = 1, index_recall = 1")
    await administrator.execute("UPDATE facerec.collection SET recall_time = now() - interval '1 hour'")
    await runner.run_once(MaintenanceOptions(database_url, recall_check_seconds=60))
    fixed = await administrator.fetchrow(
        "SELECT index_effort, index_recall, recall_time, target_recall FROM facerec.collection"
    )
    assert fixed is not None
    assert fixed["recall_time"] > built["recall_time"]
    assert fixed["index_effort"] > 1
    assert fixed["index_recall"] >= fixed["target_recall"] or fixed["index_effort"] >= 16


async def test_a_collection_without_an_index_says_so(matcher: RunningMatcher) -> None:
    found = await measure(matcher)
    assert not found.indexed
    assert (found.samples, found.HasField("recall")) == (0, False)
    with refused(Reason.OPTION_INVALID, "samples"):
        await measure(matcher, samples=3)
    with refused(Reason.COLLECTION_NOT_FOUND, "collection_id"):
        await measure(matcher, collection_id="nowhere")
