"""A read that allows staleness misses nothing older than it allows, and goes on while the primary is lost."""

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator, Iterator
from typing import Any, NamedTuple

import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from facerec.errors import Reason
from facerec.matcher.v1 import audit_pb2, calibration_pb2, consistency_pb2, review_pb2, transfer_pb2
from facerec.matcher.v1 import matcher_pb2 as pb
from matcher_service.audit import decisions
from matcher_service.postgres.standbys.history import PositionHistory
from matcher_service.postgres.standbys.positions import Position
from matcher_service.settings import MatcherSettings
from tests.e2e.matcher.reading import (
    enroll_next,
    history,
    identify,
    learned,
    reading,
    reads,
    stale,
    standbys,
    usable,
)
from tests.e2e.matcher.requests import encoding, refused, vectors
from tests.fixtures.matcher import RunningMatcher, StartMatcher
from tests.fixtures.standbys import Replication, fetch, kill, replicated
from tests.fixtures.waiting import until
from tests.soak.service.proxy import FaultProxy, Mode

BOUND = 60.0


@pytest.fixture(scope="module")
def servers() -> Iterator[Replication]:
    with replicated() as replication:
        yield replication


@pytest.fixture
async def matcher(start_matcher: StartMatcher, servers: Replication) -> RunningMatcher:
    """A matcher whose URL lists all servers, as it does where a standby may be promoted."""
    started = await start_matcher(servers.url, read_database_urls=servers.read_urls)
    await until(lambda: usable(1))
    return started


def let_pass(matcher: RunningMatcher, seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the matcher's clock go forward."""
    remembered = history(matcher)
    now = remembered.now
    monkeypatch.setattr(remembered, "now", lambda: now() + seconds)


@contextlib.asynccontextmanager
async def paused(servers: Replication) -> AsyncIterator[None]:
    """A standby that replays nothing."""
    await fetch(servers.standbys[0], "SELECT pg_wal_replay_pause()")
    try:
        yield
    finally:
        await fetch(servers.standbys[0], "SELECT pg_wal_replay_resume()")


class Known(NamedTuple):
    """Somebody who is enrolled."""

    person_id: str
    probe: pb.Probe


@pytest.fixture
async def without_primary(matcher: RunningMatcher, servers: Replication) -> AsyncIterator[Known]:
    """The primary was killed after this person was enrolled; it is back after the test."""
    known = Known(*await enroll_next(matcher))
    await learned(matcher, servers)
    kill(servers.primary)
    yield known
    if servers.primary.child.poll() is not None:
        servers.primary.start()
    await until(lambda: usable(1))


async def test_a_standby_that_lags_answers_within_the_bound_and_not_beyond_it(
    matcher: RunningMatcher, servers: Replication, monkeypatch: pytest.MonkeyPatch
) -> None:
    person_id, probe = await enroll_next(matcher)
    await learned(matcher, servers)
    async with paused(servers):
        later_id, later = await enroll_next(matcher)
        before = reads("standby", "bounded")
        assert await identify(matcher, probe, stale(BOUND)) == [person_id]
        assert await identify(matcher, later, stale(BOUND)) == []
        assert reads("standby", "bounded") == before + 2
        assert await identify(matcher, later) == [later_id]
        let_pass(matcher, BOUND, monkeypatch)
        assert await identify(matcher, later, stale(BOUND)) == [later_id]
        assert reads("standby", "bounded") == before + 2


async def test_a_matcher_that_ignored_the_bound_would_be_caught(
    matcher: RunningMatcher, servers: Replication, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The planted fault: the oldest position that is remembered is enough for any bound."""

    def oldest(remembered: PositionHistory, seconds: float) -> Position | None:
        return remembered._positions[0] if remembered._positions else None

    await learned(matcher, servers)
    monkeypatch.setattr(PositionHistory, "within", oldest)
    async with paused(servers):
        _, later = await enroll_next(matcher)
        let_pass(matcher, BOUND, monkeypatch)
        assert await identify(matcher, later, stale(BOUND)) == []


async def test_a_bound_that_is_shorter_than_the_newest_position_is_old_is_answered_as_a_fresh_read(
    start_matcher: StartMatcher, servers: Replication
) -> None:
    matcher = await reading(start_matcher, servers, schema_check_seconds=60, replay_wait_seconds=10)
    for _ in range(5):
        person_id, probe = await enroll_next(matcher)
        assert await identify(matcher, probe, stale(1e-6)) == [person_id]


async def test_the_primary_is_asked_for_its_position_while_a_check_waits_for_a_standby(
    start_matcher: StartMatcher, servers: Replication
) -> None:
    matcher = await reading(start_matcher, servers, replay_wait_seconds=10)
    [standby], remembered = standbys(matcher), history(matcher)
    async with paused(servers):
        written = await fetch(servers.primary, "SELECT pg_logical_emit_message(true, 'test', '')")
        await until(lambda: remembered.newest is not None and remembered.newest.lsn >= written)
        asked = remembered._times[-1]
        await until(lambda: remembered._times[-1] > asked)
        again = remembered._times[-1]
        await until(lambda: remembered._times[-1] > again)
        assert standby.unfit is None


async def test_a_search_that_allows_staleness_goes_on_without_the_primary_and_a_fresh_one_does_not(
    matcher: RunningMatcher, without_primary: Known
) -> None:
    """Also where both would be in one scan, or wait for one position."""
    person_id, probe = without_primary.person_id, without_primary.probe
    for exact in (False, True):
        fresh = pb.IdentifyRequest(probes=[probe], exact_only=exact)
        bounded = pb.IdentifyRequest(probes=[probe], exact_only=exact, consistency=stale(BOUND))
        calls = [matcher.stub.Identify(each) for each in (fresh, bounded, fresh, bounded)]
        answers: list[Any] = await asyncio.gather(*calls, return_exceptions=True)
        refusal, found, again, also = answers
        assert [each.faces[0].candidates[0].person_id for each in (found, also)] == [person_id] * 2
        for error in (refusal, again):
            with refused(Reason.STORE_UNAVAILABLE):
                raise error


async def test_decisions_without_the_primary_are_logged_without_the_person_and_audited_once_it_is_back(
    start_matcher: StartMatcher, matcher: RunningMatcher, servers: Replication, without_primary: Known
) -> None:
    with capture_logs() as logs:
        for _ in range(3):
            await identify(matcher, without_primary.probe, stale(BOUND))
        lines = functools.partial(logged, logs, "decision_not_written")
        await until(lambda: len(lines()) == 3)
        assert without_primary.person_id not in str(lines())
        assert {line["outcome"] for line in lines()} == {"match"}
        assert waiting_events(matcher) == 3
    servers.primary.start()
    await until(lambda: waiting_events(matcher) == 0)
    other = await start_matcher(
        servers.primary.url()
    )  # all of its connections are to the server as it is now
    request = audit_pb2.ListAuditEventsRequest(
        person_id=without_primary.person_id, kind=audit_pb2.AUDIT_KIND_DECISIONS
    )
    assert len((await other.collections.ListAuditEvents(request)).events) == 3


async def test_a_search_is_refused_rather_than_left_out_of_the_audit(
    matcher: RunningMatcher, without_primary: Known, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decisions, "MAX_WAITING_BOUNDED", 1)
    for _ in range(2):
        await identify(matcher, without_primary.probe, stale(BOUND))
    with refused(Reason.STORE_UNAVAILABLE, message="audit events wait"):
        await identify(matcher, without_primary.probe, stale(BOUND))


async def test_a_matcher_is_ready_without_the_primary_as_long_as_a_read_can_be_answered(
    matcher: RunningMatcher, servers: Replication, without_primary: Known, monkeypatch: pytest.MonkeyPatch
) -> None:
    def noticed() -> bool:
        return REGISTRY.get_sample_value("facerec_matcher_database_ready") == 0

    await until(noticed)
    assert await is_serving(matcher)
    kill(servers.standbys[0])
    await until_serving(matcher, False)
    servers.standbys[0].start()
    await until_serving(matcher, True)
    found = await identify(matcher, without_primary.probe, stale(BOUND))
    assert found == [without_primary.person_id]
    let_pass(matcher, MatcherSettings.model_fields["max_staleness_seconds"].default, monkeypatch)
    with refused(Reason.STORE_UNAVAILABLE):
        await identify(matcher, without_primary.probe, stale(300))
    await until_serving(matcher, False)


async def test_a_matcher_that_alone_lost_the_primary_is_unready_and_answers_what_allows_staleness(
    start_matcher: StartMatcher, servers: Replication
) -> None:
    socket = servers.primary.socket_folder / ".s.PGSQL.5432"
    proxy = FaultProxy(lambda: asyncio.open_unix_connection(str(socket)))
    url = f"postgresql://postgres@127.0.0.1:{await proxy.start()}/postgres?sslmode=disable"
    try:
        matcher = await start_matcher(url, read_database_urls=servers.read_urls)
        await until(lambda: usable(1))
        person_id, probe = await enroll_next(matcher)
        await learned(matcher, servers)
        await proxy.switch(Mode.RESET)
        await until_serving(matcher, False)
        assert await identify(matcher, probe, stale(BOUND)) == [person_id]
        await proxy.switch(Mode.PASS)
        await until_serving(matcher, True)
    finally:
        await proxy.stop()


@pytest.mark.parametrize(("most", "seconds"), [(300, -1), (300, 0), (300, 300.001), (300, 1e12), (0, 1)])
async def test_a_staleness_outside_the_range_is_refused(
    start_matcher: StartMatcher, database_url: str, most: float, seconds: float
) -> None:
    matcher = await start_matcher(database_url, max_staleness_seconds=most)
    consistency = consistency_pb2.ReadConsistency()
    consistency.max_staleness.seconds, nanos = int(seconds), seconds % 1
    consistency.max_staleness.nanos = round(1e9 * nanos)

    async def export() -> None:
        request = transfer_pb2.ExportFacesRequest(consistency=consistency)
        [_ async for _ in matcher.stub.ExportFaces(request)]

    collections = matcher.collections
    for answer in (
        identify(matcher, encoding(vectors(1)[0]), consistency),
        collections.Calibrate(calibration_pb2.CalibrateRequest(consistency=consistency)),
        collections.MeasureRecall(review_pb2.MeasureRecallRequest(consistency=consistency)),
        collections.ListDuplicates(review_pb2.ListDuplicatesRequest(consistency=consistency)),
        collections.ListInconsistentFaces(review_pb2.ListInconsistentFacesRequest(consistency=consistency)),
        export(),
    ):
        with refused(Reason.OPTION_INVALID, "consistency.max_staleness"):
            await answer


async def test_without_standbys_the_primary_answers_whatever_staleness_is_allowed(
    start_matcher: StartMatcher, database_url: str
) -> None:
    matcher = await start_matcher(database_url)
    person_id, probe = await enroll_next(matcher)
    for seconds in (0.001, 300):
        assert await identify(matcher, probe, stale(seconds)) == [person_id]
    assert await identify(matcher, probe, consistency_pb2.ReadConsistency()) == [person_id]


def waiting_events(matcher: RunningMatcher) -> int:
    """The audit events of decisions that are not written yet."""
    return matcher.service._decisions._waiting


def logged(logs: list[Any], event: str) -> list[Any]:
    """The lines of an event."""
    return [line for line in logs if line["event"] == event]


async def is_serving(matcher: RunningMatcher) -> bool:
    """Whether load balancers send calls."""
    async with grpc.aio.insecure_channel(matcher.address) as channel:
        check = health_pb2_grpc.HealthStub(channel).Check  # type: ignore[attr-defined]
        status = (await check(health_pb2.HealthCheckRequest())).status
    return bool(status == health_pb2.HealthCheckResponse.SERVING)


async def until_serving(matcher: RunningMatcher, wanted: bool) -> None:
    async def reached() -> bool:
        return await is_serving(matcher) == wanted

    await until(reached)
