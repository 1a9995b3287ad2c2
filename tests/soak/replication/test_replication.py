"""Short forms of the soaks of standbys and failovers, on the same servers."""

from collections.abc import Iterator

import pytest

from tests.soak.replication import failovers, faults, freshness
from tests.soak.replication.cluster import Cluster, Link
from tests.soak.replication.matchers import Matchers, matchers

# One mounts a disk, as only root can; the others copy a whole database. `make soak-replication` has them.
LEFT_OUT = ("disk full", "promoted", "another system")
Stage = tuple[Cluster, Link, Matchers]


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with faults.stage() as started:
        yield started


def test_changes_are_seen_by_the_next_search_while_standbys_are_late_at_random(stage: Stage) -> None:
    servers, _, running = stage
    outcome = freshness.run(servers, running, 60)
    assert outcome.passed, outcome
    assert outcome.rounds == 60
    assert outcome.reads["standby"] > 0
    assert outcome.delays.total() > 0


def test_matchers_that_read_from_any_standby_are_found_out(stage: Stage) -> None:
    servers, _, _ = stage
    with matchers(servers.url, servers.read_urls, module="tests.soak.unchecked") as running:
        outcome = freshness.run(servers, running, 60, seed=2)
    assert outcome.stale
    assert not outcome.passed


def test_no_fault_of_a_standby_fails_a_call_or_keeps_it_out_for_good(stage: Stage) -> None:
    servers, front, running = stage
    seen = dict(faults.run(servers, front, running, seconds=0.2, left_out=LEFT_OUT))
    assert [name for name, each in seen.items() if not each.noticed] == []
    assert [(name, each.stale) for name, each in seen.items() if each.stale] == []


@pytest.mark.parametrize("synchronous", [True, False])
def test_a_failover_loses_nothing_that_a_standby_confirmed_and_doubles_nothing(
    stage: Stage, synchronous: bool
) -> None:
    servers, _, running = stage
    outcome = failovers.run(servers, running, 1, synchronous=synchronous, late=not synchronous)
    assert outcome.passed, outcome
    assert not (synchronous and any(outcome.lost)), outcome
    assert len(outcome.seconds) == 2
