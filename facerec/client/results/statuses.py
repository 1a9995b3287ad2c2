"""The state of a replica of either service, for those who run it."""

import dataclasses
import datetime
from typing import Self

from google.protobuf.message import Message

from facerec.client.times import utc
from facerec.encoder import v1 as encoder
from facerec.matcher import v1


@dataclasses.dataclass(frozen=True)
class DatabaseStatus:
    """The primary, as a matcher last found it.

    Attributes:
        ready: Whether it can be used.
        problem: Why not; "" where it can.
        check_time: When it was last checked; None before the first time.
        schema_version: The last migration that was applied; 0 where that is unknown.
        release_schema_version: The schema version that the matcher's release needs.
    """

    ready: bool
    problem: str
    check_time: datetime.datetime | None
    schema_version: int
    release_schema_version: int


@dataclasses.dataclass(frozen=True)
class UsedEncoder:
    """The encoder to which a matcher sends images, as it answered; "" for what it did not say.

    Attributes:
        reachable: Whether it answers and accepts the matcher's key.
        problem: Why images cannot be encoded; "" where they can.
        server_version: Its release.
        space: The space of its encodings.
        execution_provider: What runs its networks, as ONNX Runtime calls it.
    """

    reachable: bool
    problem: str
    server_version: str
    space: str
    execution_provider: str


@dataclasses.dataclass(frozen=True)
class Queue:
    """A limit that callers share.

    Attributes:
        kind: The kind of work, as metrics have it, such as `call` or `encoder`.
        limit: How many requests are worked on at once.
        in_use: How many are worked on.
        waiting: How many wait.
    """

    kind: str
    limit: int
    in_use: int
    waiting: int


@dataclasses.dataclass(frozen=True)
class StandbyStatus:
    """A standby, as a matcher last found it.

    Attributes:
        number: Its place among the matcher's read_database_urls, from 1.
        state: `usable`, or why it is not read from: `unavailable`, `unresponsive`, `lagging`, `promoted`,
            `other_database`, `other_timeline` or `conflict`.
        streaming: Whether it is connected to the server that it follows.
        lag_bytes: How much of the primary's log it had not replayed; None where that is unknown.
        staleness_seconds: How old an answer of it would be at most; None where that is unknown.
        reads_in_flight: How many reads are on it, waiting ones included.
    """

    number: int
    state: str
    streaming: bool
    lag_bytes: int | None
    staleness_seconds: float | None
    reads_in_flight: int

    @classmethod
    def from_message(cls, message: v1.StandbyStatus) -> Self:
        """Read the contract's message."""
        return cls(
            message.number,
            v1.StandbyState.Name(message.state).removeprefix("STANDBY_STATE_").lower(),
            message.streaming,
            message.lag_bytes if message.HasField("lag_bytes") else None,
            message.staleness_seconds if message.HasField("staleness_seconds") else None,
            message.reads_in_flight,
        )


@dataclasses.dataclass(frozen=True)
class MaintenanceStep:
    """How a step of `maintain` ended.

    Attributes:
        step: `erase`, `keep` or `audit`.
        success_time: When it last ended without a failure; None for never.
        failures: In how many collections it failed since the first run; of `audit`, in how many runs.
        collections_waiting: In how many collections the last run left work for a later one.
    """

    step: str
    success_time: datetime.datetime | None
    failures: int
    collections_waiting: int


@dataclasses.dataclass(frozen=True)
class MaintenanceStatus:
    """What `maintain` did last and has left to do, in all collections.

    Attributes:
        read_time: When the matcher read this.
        steps: How each step ended.
        unvacuumed_erasures: How many erasures no vacuum has followed; 1000 for 1000 or more.
        oldest_erasure_time: When the oldest of these was made; None without one.
        unscrubbed_erasures: How many erasures no rewrite of the files has followed; 1000 for 1000 or more.
    """

    read_time: datetime.datetime
    steps: tuple[MaintenanceStep, ...]
    unvacuumed_erasures: int
    oldest_erasure_time: datetime.datetime | None
    unscrubbed_erasures: int

    @classmethod
    def from_message(cls, message: v1.MaintenanceStatus) -> Self:
        """Read the contract's message."""
        return cls(
            utc(message.read_time),
            tuple(
                MaintenanceStep(
                    each.step,
                    _time(each, "success_time"),
                    each.failures,
                    each.collections_waiting,
                )
                for each in message.steps
            ),
            message.unvacuumed_erasures,
            _time(message, "oldest_erasure_time"),
            message.unscrubbed_erasures,
        )


@dataclasses.dataclass(frozen=True)
class MatcherStatus:
    """The replica of a matcher that answered.

    Attributes:
        server_version: Its release.
        uptime: How long it has been running.
        serving: Whether it takes calls.
        calls_in_flight: How many calls it has begun and not ended, this one included.
        database: The primary.
        encoder: The encoder to which it sends images.
        queues: The limits in front of connections, images and long calls.
        standbys: The standbys that it may read from.
        maintenance: What `maintain` did last; None until the replica has read that.
    """

    server_version: str
    uptime: datetime.timedelta
    serving: bool
    calls_in_flight: int
    database: DatabaseStatus
    encoder: UsedEncoder
    queues: tuple[Queue, ...]
    standbys: tuple[StandbyStatus, ...]
    maintenance: MaintenanceStatus | None

    @classmethod
    def from_message(cls, message: v1.GetStatusResponse) -> Self:
        """Read the contract's message."""
        database, used = message.database, message.encoder
        found = MaintenanceStatus.from_message(message.maintenance)
        return cls(
            message.server_version,
            message.uptime.ToTimedelta(),
            message.serving,
            message.calls_in_flight,
            DatabaseStatus(
                database.ready,
                database.problem,
                _time(database, "check_time"),
                database.schema_version,
                database.release_schema_version,
            ),
            UsedEncoder(
                used.reachable, used.problem, used.server_version, used.space, used.execution_provider
            ),
            tuple(Queue(each.kind, each.limit, each.in_use, each.waiting) for each in message.queues),
            tuple(map(StandbyStatus.from_message, message.standbys)),
            found if message.HasField("maintenance") else None,
        )


@dataclasses.dataclass(frozen=True)
class EncoderStatus:
    """The replica of an encoder that answered.

    Attributes:
        server_version: Its release.
        uptime: How long it has been running.
        serving: Whether its models are loaded and passed their self-test.
        problem: Why images cannot be encoded; "" where they can.
        calls_in_flight: How many calls it has begun and not ended, this one included.
        images_in_flight: How many images were admitted and are not answered.
        max_images: How many images may be in flight.
        waiting_faces: How many faces wait for the network that encodes them.
        waiting_detections: How many pictures wait for the network of the detector `cnn`.
    """

    server_version: str
    uptime: datetime.timedelta
    serving: bool
    problem: str
    calls_in_flight: int
    images_in_flight: int
    max_images: int
    waiting_faces: int
    waiting_detections: int

    @classmethod
    def from_message(cls, message: encoder.GetStatusResponse) -> Self:
        """Read the contract's message."""
        return cls(
            message.server_version,
            message.uptime.ToTimedelta(),
            message.serving,
            message.problem,
            message.calls_in_flight,
            message.images_in_flight,
            message.max_images,
            message.waiting_faces,
            message.waiting_detections,
        )


def _time(message: Message, field: str) -> datetime.datetime | None:
    return utc(getattr(message, field)) if message.HasField(field) else None
