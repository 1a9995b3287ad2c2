"""Of several standbys that one is read from which is fit and has the least to do."""

from collections.abc import Iterator
from pathlib import Path
from unittest.mock import AsyncMock

import pytest

from matcher_service.postgres.database import Database
from matcher_service.postgres.standbys.read_index import ReadIndex
from tests.e2e.matcher.reading import (
    enroll_next,
    fallbacks,
    is_found_at_once,
    reading,
    reads,
    standbys,
    usable,
)
from tests.fixtures.matcher import StartMatcher
from tests.fixtures.standbys import Replication, fetch, replicated
from tests.fixtures.waiting import until


@pytest.fixture(scope="module")
def two_standbys() -> Iterator[Replication]:
    with replicated(2) as replication:
        yield replication


async def test_the_standby_with_the_fewest_reads_in_flight_is_read_from(
    start_matcher: StartMatcher, two_standbys: Replication
) -> None:
    matcher = await reading(start_matcher, two_standbys)
    database: Database = matcher.service._database

    def in_flight() -> list[int]:
        return sorted(each.in_flight for each in standbys(matcher))

    async with database.scan_session("default"):
        assert in_flight() == [0, 1]
        async with database.scan_session("default"), database.scan_session("default"):
            assert in_flight() == [1, 2]
            async with database.scan_session("default"):
                assert in_flight() == [2, 2]
    assert in_flight() == [0, 0]


async def test_one_that_has_it_is_read_from_and_one_that_lags_not_waited_for(
    start_matcher: StartMatcher, two_standbys: Replication, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"replay_wait_seconds": 10, "schema_check_seconds": 60}
    matcher = await reading(start_matcher, two_standbys, **settings)
    lagging, fit = two_standbys.standbys
    await fetch(lagging, "SELECT pg_wal_replay_pause()")
    try:
        await enroll_next(matcher)
        position = await matcher.service._database._reads._index.position()
        await two_standbys.caught_up(fit)
        before = fallbacks("lagging")
        monkeypatch.setattr(ReadIndex, "position", AsyncMock(return_value=position))
        async with matcher.service._database.index_session("default") as session:
            assert not session.on_primary
        assert fallbacks("lagging") == before
    finally:
        await fetch(lagging, "SELECT pg_wal_replay_resume()")


async def test_standbys_are_added_and_removed_by_a_file_while_the_matcher_runs(
    start_matcher: StartMatcher, own_servers: Replication, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "urls"
    file.write_text(own_servers.read_urls + "\n")
    monkeypatch.setenv("MATCHER_READ_DATABASE_URLS_FILE", str(file))
    matcher = await reading(start_matcher, own_servers)
    [first] = standbys(matcher)
    own_servers.add()

    def replace(text: str) -> None:
        """As a mounted secret is replaced: by another file under its name."""
        new = tmp_path / "new"
        new.write_text(text)
        new.replace(file)

    replace(own_servers.read_urls.replace(" ", "\n"))
    await until(lambda: usable(2))
    assert standbys(matcher)[0] is first
    replace("postgresql://nothing is valid in here")
    replace(own_servers.standbys[1].url())
    await until(lambda: len(standbys(matcher)) == 1)
    before = reads("standby")
    assert await is_found_at_once(matcher)
    assert reads("standby") > before
    assert [each.number for each in standbys(matcher)] == [2]
