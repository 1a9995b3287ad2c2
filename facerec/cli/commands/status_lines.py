"""The state of the services in words, for `facerec status`."""

import datetime
from collections.abc import Iterator
from typing import TYPE_CHECKING

from facerec.cli.terminal.output import counted
from facerec.cli.terminal.times import format_time

if TYPE_CHECKING:
    from facerec.client import EncoderStatus, MaintenanceStatus, MatcherStatus, StandbyStatus

CAPPED = 1000  # of counts that stand for more


def encoder_lines(status: "EncoderStatus") -> Iterator[str]:
    """What an encoder says of itself."""
    yield (
        f"{_running(status.server_version, status.uptime)}; {status.images_in_flight} of "
        f"{counted(status.max_images, 'image')} in flight"
    )
    if status.waiting_faces or status.waiting_detections:
        yield (
            f"for the networks wait {counted(status.waiting_faces, 'face')} and "
            f"{counted(status.waiting_detections, 'picture')}"
        )
    if status.problem:
        yield status.problem


def matcher_lines(status: "MatcherStatus") -> Iterator[str]:
    """What a matcher says of itself and of what it uses."""
    database, encoder = status.database, status.encoder
    calls = counted(status.calls_in_flight, "call")
    yield f"{_running(status.server_version, status.uptime)}; {calls} in flight"
    yield f"database: {database.problem or f'ready, schema {database.schema_version}'}"
    yield f"encoder: {encoder.problem or f'answers, release {encoder.server_version}, {encoder.space}'}"
    for standby in status.standbys:
        yield _standby(standby)
    for queue in status.queues:
        if queue.in_use or queue.waiting:
            yield f"queue {queue.kind}: {queue.in_use} of {queue.limit} in use, {queue.waiting} waiting"
    if status.maintenance:
        yield from _maintenance(status.maintenance)


def _running(release: str, uptime: datetime.timedelta) -> str:
    return f"release {release}, up {_rough(uptime)}"


def _rough(length: datetime.timedelta) -> str:
    """A length in its largest unit, rounded down: 3 days, 25 minutes."""
    seconds = int(length.total_seconds())
    for unit, size in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= size:
            return counted(seconds // size, unit)
    return counted(seconds, "second")


def _standby(standby: "StandbyStatus") -> str:
    state = "read from" if standby.state == "usable" else f"not read from, {standby.state.replace('_', ' ')}"
    known = standby.lag_bytes is not None
    behind = f", {counted(standby.lag_bytes or 0, 'byte')} behind" if known else ""
    return f"standby {standby.number}: {state}{behind}"


def _maintenance(status: "MaintenanceStatus") -> Iterator[str]:
    for step in status.steps:
        last = f"succeeded {format_time(step.success_time)}" if step.success_time else "never succeeded"
        failures = f", {counted(step.failures, 'failure')} since the first run" if step.failures else ""
        left = step.collections_waiting
        waiting = f", {counted(left, 'collection')} left for a later run" if left else ""
        yield f"maintenance {step.step}: {last}{failures}{waiting}"
    if status.oldest_erasure_time:
        more = " or more" if status.unvacuumed_erasures == CAPPED else ""
        yield (
            f"erasures without a vacuum: {status.unvacuumed_erasures}{more}, the oldest of "
            f"{format_time(status.oldest_erasure_time)}"
        )
