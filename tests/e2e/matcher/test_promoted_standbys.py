"""After a failover only standbys of the new primary are read from."""

import pytest

from facerec.matcher import v1
from facerec.matcher.v1 import matcher_pb2 as pb
from matcher_service.diagnostics.doctor import examine
from matcher_service.postgres.standbys import standby as standby_module
from matcher_service.postgres.standbys.positions import Position, Replay, Unfit
from matcher_service.settings import MatcherSettings
from tests.e2e.matcher.reading import (
    enroll_next,
    fallbacks,
    identify,
    is_found_at_once,
    reading,
    reads,
    standbys,
)
from tests.fixtures.matcher import RunningMatcher, StartMatcher
from tests.fixtures.standbys import Replication, fetch, kill
from tests.fixtures.waiting import until


async def test_one_that_was_promoted_is_not_read_from(
    start_matcher: StartMatcher, own_servers: Replication
) -> None:
    matcher = await reading(start_matcher, own_servers, schema_check_seconds=60)
    assert await is_found_at_once(matcher)
    [found] = (await matcher.collections.GetStatus(v1.GetStatusRequest())).standbys
    assert (found.number, found.state, found.streaming) == (1, v1.STANDBY_STATE_USABLE, True)
    assert found.lag_bytes < 2**20 and found.HasField("staleness_seconds")
    before = fallbacks("promoted")
    own_servers.standbys[0].promote()
    assert [await is_found_at_once(matcher) for _ in range(3)] == [True] * 3
    assert fallbacks("promoted") == before + 1
    [promoted] = standbys(matcher)
    assert promoted.unfit is Unfit.PROMOTED
    [found] = (await matcher.collections.GetStatus(v1.GetStatusRequest())).standbys
    assert found.state == v1.STANDBY_STATE_PROMOTED


@pytest.fixture
async def diverged(start_matcher: StartMatcher, own_servers: Replication) -> tuple[RunningMatcher, pb.Probe]:
    """A matcher of a promoted standby, which reads from one that has replayed more of the old primary's log;
    and the face of a person whom only that one has.
    """
    ahead, behind = own_servers.standbys[0], own_servers.add()
    await own_servers.caught_up(behind)
    kill(behind)
    old = await start_matcher(own_servers.primary.url())
    for _ in range(20):
        _, probe = await enroll_next(old)
    await own_servers.caught_up(ahead)
    kill(own_servers.primary)
    behind.start()
    behind.promote()
    return await start_matcher(behind.url(), read_database_urls=ahead.url()), probe


async def test_a_standby_of_the_former_primary_is_not_read_from_however_much_it_has_replayed(
    diverged: tuple[RunningMatcher, pb.Probe],
) -> None:
    matcher, lost = diverged
    await until(lambda: standbys(matcher)[0].unfit is Unfit.OTHER_TIMELINE)
    assert await identify(matcher, lost) == []


async def test_without_the_timeline_it_would_pass_for_one_of_the_new_primary(
    diverged: tuple[RunningMatcher, pb.Probe], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The planted fault: positions of any timeline are compared."""
    matcher, lost = diverged

    def by_position(position: Position, replay: Replay) -> Unfit | None:
        return Unfit.LAGGING if replay.lsn is None or replay.lsn < position.lsn else None

    monkeypatch.setattr(standby_module, "why_unfit", by_position)
    await until(lambda: standbys(matcher)[0].unfit is None)
    assert await identify(matcher, lost) != []


async def test_a_standby_that_follows_the_new_primary_is_read_from_again(
    start_matcher: StartMatcher, own_servers: Replication
) -> None:
    promoted, following = own_servers.standbys[0], own_servers.add()
    await own_servers.caught_up(promoted)
    await own_servers.caught_up(following)
    kill(own_servers.primary)
    promoted.promote()
    kill(following)
    following.follow(promoted)
    following.start()
    matcher = await start_matcher(promoted.url(), read_database_urls=following.url())
    await fetch(promoted, "CHECKPOINT")
    await own_servers.caught_up(following, promoted)
    await fetch(following, "CHECKPOINT")  # a restart point: its control file has the new timeline now
    await until(lambda: standbys(matcher)[0].unfit is None)
    before = reads("standby")
    assert await is_found_at_once(matcher)
    assert reads("standby") > before


async def test_doctor_says_what_a_failover_loses_and_whether_each_standby_can_be_read_from(
    own_servers: Replication,
) -> None:
    async def results() -> dict[str, tuple[str, str]]:
        settings = MatcherSettings.model_validate(
            {
                "database_url": own_servers.url,
                "read_database_urls": f"{own_servers.read_urls} {own_servers.primary.url()}",
                "encoder_address": "127.0.0.1:1",
            }
        )
        return {each.subject: (each.state, each.text) async for each in examine(settings)}

    found = await results()
    assert found["replication"][0] == "warn"
    assert "may lose the changes acknowledged last" in found["replication"][1]
    assert found["standby 1"][0] == "ok"
    assert (found["standby 2"][0], "it is no standby" in found["standby 2"][1]) == ("warn", True)
    for statement in ("ALTER SYSTEM SET synchronous_standby_names = 'standby1'", "SELECT pg_reload_conf()"):
        await fetch(own_servers.primary, statement)
    kill(own_servers.standbys[0])
    found = await results()
    assert found["replication"][0] == "ok"
    assert "once a standby of 'standby1' has written it to its disk" in found["replication"][1]
    assert (found["standby 1"][0], "cannot connect" in found["standby 1"][1]) == ("warn", True)
