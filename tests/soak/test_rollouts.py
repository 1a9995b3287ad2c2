"""A short form of roll-outs: what a cluster's times bring about is waited for as an event."""

import sys

import pytest

from tests.fixtures.waiting import until
from tests.soak.rollouts import Fleet, Replica, Times, rolled

TIMES = Times(min_ready=0, pre_stop=0, drain=0.2, max_connection_age=0.5)
CLIENTS = 2

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="takes loopback addresses besides 127.0.0.1")


class Events:
    """Ends each wait with what the cluster's times are long enough for."""

    async def until_available(self, fleet: Fleet, new: Replica) -> None:
        """DNS names the new replica at the latest then."""
        fleet.dns.addresses.append(new.host)

    async def until_stopped(self, fleet: Fleet, old: Replica, new: Replica) -> None:
        """Every connection was closed for its age meanwhile, so that each client knows the new replica."""
        await until(lambda: len(new.encoder.connections) >= CLIENTS)


class NoWaits(Events):
    """The next replica ends as soon as a new one is ready, and DNS has not changed yet."""

    async def until_available(self, fleet: Fleet, new: Replica) -> None:
        pass

    async def until_stopped(self, fleet: Fleet, old: Replica, new: Replica) -> None:
        pass


@pytest.mark.parametrize("replicas", [1, 3])
async def test_no_call_fails_in_a_roll_out_behind_old_dns_answers(replicas: int) -> None:
    callers = await rolled(replicas, TIMES, Events(), calls=1000)
    assert callers.answered >= 1000
    assert not callers.failed


async def test_calls_fail_if_a_roll_out_does_not_wait_for_dns() -> None:
    callers = await rolled(2, TIMES, NoWaits(), calls=100)
    assert callers.failed
