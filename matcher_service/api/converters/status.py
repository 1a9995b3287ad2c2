"""The state of a replica as messages."""

import datetime

from google.protobuf.timestamp_pb2 import Timestamp

from facerec.matcher.v1 import status_pb2 as pb
from matcher_service.domain.status import (
    DatabaseStatus,
    MaintenanceStatus,
    MaintenanceStep,
    MatcherStatus,
    Queue,
    StandbyStatus,
)


def status_message(status: MatcherStatus) -> pb.GetStatusResponse:
    """The answer of GetStatus."""
    encoder = status.encoder
    message = pb.GetStatusResponse(
        server_version=status.server_version,
        serving=status.serving,
        calls_in_flight=status.calls_in_flight,
        database=_database(status.database),
        encoder=pb.EncoderStatus(
            reachable=encoder.reachable,
            problem=encoder.problem,
            server_version=encoder.server_version,
            space=encoder.space,
            execution_provider=encoder.execution_provider,
        ),
        queues=[_queue(queue) for queue in status.queues],
        standbys=[_standby(standby) for standby in status.standbys],
        maintenance=_maintenance(status.maintenance) if status.maintenance else None,
    )
    message.uptime.FromNanoseconds(round(1e9 * status.uptime_seconds))
    return message


def _database(status: DatabaseStatus) -> pb.DatabaseStatus:
    return pb.DatabaseStatus(
        ready=status.ready,
        problem=status.problem,
        check_time=_timestamp(status.check_time),
        schema_version=status.schema_version,
        release_schema_version=status.release_schema_version,
    )


def _queue(queue: Queue) -> pb.Queue:
    return pb.Queue(kind=queue.kind, limit=queue.limit, in_use=queue.in_use, waiting=queue.waiting)


def _standby(status: StandbyStatus) -> pb.StandbyStatus:
    return pb.StandbyStatus(
        number=status.number,
        state=pb.StandbyState.Value(f"STANDBY_STATE_{(status.unfit or 'usable').upper()}"),
        streaming=status.streaming,
        lag_bytes=status.lag_bytes,
        staleness_seconds=status.staleness_seconds,
        reads_in_flight=status.reads_in_flight,
    )


def _maintenance(status: MaintenanceStatus) -> pb.MaintenanceStatus:
    return pb.MaintenanceStatus(
        read_time=_timestamp(status.read_time),
        steps=[_step(step) for step in status.steps],
        unvacuumed_erasures=status.unvacuumed_erasures,
        oldest_erasure_time=_timestamp(status.oldest_erasure_time),
        unscrubbed_erasures=status.unscrubbed_erasures,
    )


def _step(step: MaintenanceStep) -> pb.MaintenanceStep:
    return pb.MaintenanceStep(
        step=step.step,
        success_time=_timestamp(step.success_time),
        failures=step.failures,
        collections_waiting=step.collections_waiting,
    )


def _timestamp(time: datetime.datetime | None) -> Timestamp | None:
    if time is None:
        return None
    message = Timestamp()
    message.FromDatetime(time)
    return message
