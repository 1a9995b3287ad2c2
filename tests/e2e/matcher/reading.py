"""Matchers that read from standbys, and the metrics of their reads."""

import itertools
from typing import Any

from prometheus_client import REGISTRY

from facerec.matcher.v1 import consistency_pb2
from facerec.matcher.v1 import matcher_pb2 as pb
from matcher_service.postgres.standbys.history import PositionHistory
from matcher_service.postgres.standbys.standby import Standby
from tests.e2e.matcher.requests import encoding, enroll, vectors
from tests.fixtures.matcher import RunningMatcher, StartMatcher
from tests.fixtures.standbys import Replication, fetch
from tests.fixtures.waiting import until

FACES = vectors(1000, seed=18)
_numbers = itertools.count()


async def reading(start_matcher: StartMatcher, servers: Replication, **settings: Any) -> RunningMatcher:
    """A matcher that has found its standbys."""
    started = await start_matcher(servers.primary.url(), read_database_urls=servers.read_urls, **settings)
    await until(lambda: all(usable(each + 1) for each in range(len(servers.standbys))))
    return started


def standbys(matcher: RunningMatcher) -> list[Standby]:
    """The standbys of a matcher in this process."""
    return matcher.service._database._reads.standbys


def history(matcher: RunningMatcher) -> PositionHistory:
    """The primary's positions that a matcher in this process remembers."""
    return matcher.service._database._reads._index.history


def usable(number: int) -> bool:
    """Whether a standby is read from."""
    return REGISTRY.get_sample_value("facerec_matcher_standby_usable", {"server": str(number)}) == 1


def reads(role: str, *consistencies: str) -> float:
    """The reads so far by servers of a role, of these consistencies, or of all."""
    labels = ({"role": role, "consistency": each} for each in consistencies or ("fresh", "bounded"))
    return sum(REGISTRY.get_sample_value("facerec_matcher_reads_total", each) or 0 for each in labels)


def fallbacks(reason: str) -> float:
    """The reads so far that a standby did not answer for a reason."""
    return REGISTRY.get_sample_value("facerec_matcher_read_fallbacks_total", {"reason": reason}) or 0


async def enroll_next(matcher: RunningMatcher) -> tuple[str, pb.Probe]:
    """Enroll another person; returns the id and the face."""
    number = next(_numbers)
    probe = encoding(FACES[number])
    await matcher.stub.Enroll(enroll(f"p{number}", probe))
    return f"p{number}", probe


def stale(seconds: float) -> consistency_pb2.ReadConsistency:
    """A consistency that allows so much staleness."""
    allowed = consistency_pb2.ReadConsistency()
    allowed.max_staleness.FromNanoseconds(round(1e9 * seconds))
    return allowed


async def identify(
    matcher: RunningMatcher, probe: pb.Probe, consistency: consistency_pb2.ReadConsistency | None = None
) -> list[str]:
    """The candidates' ids."""
    found = await matcher.stub.Identify(pb.IdentifyRequest(probes=[probe], consistency=consistency))
    return [each.person_id for each in found.faces[0].candidates]


async def is_found_at_once(matcher: RunningMatcher) -> bool:
    """Whether a person who was just enrolled is identified by the next call."""
    person_id, probe = await enroll_next(matcher)
    return await identify(matcher, probe) == [person_id]


async def learned(matcher: RunningMatcher, servers: Replication) -> None:
    """Wait until the matcher remembers a position up to which all that is committed now is included, and the
    standby has replayed that.
    """
    inserted = await fetch(servers.primary, "SELECT pg_current_wal_insert_lsn()")
    remembered = history(matcher)
    await until(lambda: remembered.newest is not None and remembered.newest.lsn + 64 >= inserted)
    newest = remembered.newest
    assert newest is not None
    await until(lambda: standbys(matcher)[0].replayed >= newest.lsn)
