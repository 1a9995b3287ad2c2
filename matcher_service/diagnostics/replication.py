"""What a failover loses, and whether each standby can be read from."""

from collections.abc import AsyncIterator

from facerec.serving.server.diagnostics import CheckResult
from facerec.serving.server.errors import StartError
from matcher_service.postgres.connections.address import connect, read_address, why_not_connected
from matcher_service.postgres.driver_errors import CONNECTING_ERRORS
from matcher_service.postgres.session import Connection
from matcher_service.postgres.standbys.positions import Position, Unfit, why_unfit
from matcher_service.postgres.standbys.read_index import read_position
from matcher_service.postgres.standbys.standby import read_replay
from matcher_service.settings import MatcherSettings

CONNECT_SECONDS = 5.0
_CONFIRMED = {  # synchronous_commit, where standbys are named: up to where they have a commit
    "on": "written it to its disk",
    "remote_apply": "replayed it",
    "remote_write": "passed it to its system, whose crash would lose it",
}
_HOW_TO_FIX = {
    Unfit.LAGGING: "it replays nothing: see its log",
    Unfit.PROMOTED: "it is no standby: was it promoted? list it as a host of MATCHER_DATABASE_URL",
    Unfit.OTHER_DATABASE: "it is a standby of another cluster, or the URL names another database",
    Unfit.OTHER_TIMELINE: "it follows another primary, or has not recorded yet that it follows this one: a "
    "CHECKPOINT on it says which",
}


async def examine_replication(
    connection: Connection, settings: MatcherSettings
) -> AsyncIterator[CheckResult]:
    """Check the primary's settings, and then each standby of `read_database_urls`."""
    hosts = len(read_address(settings.database_url.get_secret_value()).servers)
    yield await _examine_promise(connection, has_standbys=hosts > 1 or bool(settings.read_urls()))
    position = await read_position(connection) if settings.read_urls() else None
    for number, url in enumerate(settings.read_urls(), start=1):
        assert position is not None
        yield await _examine_standby(number, url, position)


async def _examine_promise(connection: Connection, *, has_standbys: bool) -> CheckResult:
    names = await connection.fetchval("SHOW synchronous_standby_names")
    commit = await connection.fetchval("SHOW synchronous_commit")
    if commit == "off":
        text = (
            "synchronous_commit = off: a crash of the primary loses the changes acknowledged last; turn it on"
        )
        return CheckResult("replication", "warn", text)
    if names and (how := _CONFIRMED.get(commit)):
        text = (
            f"a change is acknowledged once a standby of {names!r} has {how} (synchronous_commit = {commit})"
        )
        return CheckResult("replication", "ok", text)
    if has_standbys:
        text = (
            "no change waits for a standby, so a failover may lose the changes acknowledged last: set "
            "synchronous_standby_names on the primary, and leave synchronous_commit on"
        )
        return CheckResult("replication", "warn", text)
    return CheckResult("replication", "ok", "one server; a change is acknowledged once it is on its disk")


async def _examine_standby(number: int, url: str, position: Position) -> CheckResult:
    subject = f"standby {number}"
    until_fixed = "; until this is fixed it is not read from"
    try:
        connection = await connect(url, seconds=CONNECT_SECONDS, any_server=True)
    except (StartError, ValueError, *CONNECTING_ERRORS) as error:
        return CheckResult(subject, "warn", f"{why_not_connected(error)}{until_fixed}")
    try:
        replay = await read_replay(connection)
    except CONNECTING_ERRORS as error:
        return CheckResult(subject, "warn", f"{type(error).__name__}{until_fixed}")
    finally:
        connection.terminate()
    unfit = why_unfit(position, replay)
    if unfit is None or (unfit is Unfit.LAGGING and replay.lsn is not None):
        behind = max(0, position.lsn - (replay.lsn or 0))
        return CheckResult(subject, "ok", f"{behind} bytes behind the primary")
    return CheckResult(subject, "warn", f"{_HOW_TO_FIX[unfit]}{until_fixed}")
