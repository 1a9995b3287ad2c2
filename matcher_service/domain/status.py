"""The state of a replica and of what it uses, for the people who run it."""

import dataclasses
import datetime
from collections.abc import Sequence


@dataclasses.dataclass(frozen=True)
class DatabaseStatus:
    """The primary, as it was last checked.

    Attributes:
        ready: Whether it can be used.
        problem: Why not, in words that callers may read; "" where it can.
        check_time: When it was last checked; None before the first time.
        schema_version: The last migration applied; 0 where that is unknown.
        release_schema_version: The schema version that this release needs.
    """

    ready: bool
    problem: str
    check_time: datetime.datetime | None
    schema_version: int
    release_schema_version: int


@dataclasses.dataclass(frozen=True)
class EncoderStatus:
    """The encoder, as it answered; all but `problem` is empty where it did not."""

    reachable: bool
    problem: str = ""
    server_version: str = ""
    space: str = ""
    execution_provider: str = ""


@dataclasses.dataclass(frozen=True)
class Queue:
    """A limit: `in_use` of `limit` requests are worked on, and `waiting` ones wait."""

    kind: str
    limit: int
    in_use: int
    waiting: int


@dataclasses.dataclass(frozen=True)
class StandbyStatus:
    """A standby, as it was last checked.

    Attributes:
        number: By which logs and metrics name it.
        unfit: Why it is not read from, a value of `Unfit`; "" where it is.
        streaming: Whether it is connected to the server that it follows.
        lag_bytes: Bytes of the primary's log that it had not replayed; None where that is unknown.
        staleness_seconds: How old an answer of it is at most; None where that is unknown.
        reads_in_flight: The reads on it, waiting ones included.
    """

    number: int
    unfit: str
    streaming: bool
    lag_bytes: int | None
    staleness_seconds: float | None
    reads_in_flight: int


@dataclasses.dataclass(frozen=True)
class MaintenanceStep:
    """How a step of maintenance ended.

    Attributes:
        step: Its name.
        success_time: When it last ended without a failure; None for never.
        failures: In how many collections, or runs, it failed since the first run.
        collections_waiting: In how many collections the last run left work for a later one.
    """

    step: str
    success_time: datetime.datetime | None
    failures: int
    collections_waiting: int


@dataclasses.dataclass(frozen=True)
class MaintenanceStatus:
    """What maintenance did last and has left to do, when it was read.

    Attributes:
        read_time: When that was.
        steps: Its steps.
        unvacuumed_erasures: The erasures that no vacuum followed; 1000 for more.
        oldest_erasure_time: When the oldest of these was made; None without one.
        unscrubbed_erasures: The erasures that no rewrite of the files followed; 1000 for more.
    """

    read_time: datetime.datetime
    steps: Sequence[MaintenanceStep]
    unvacuumed_erasures: int
    oldest_erasure_time: datetime.datetime | None
    unscrubbed_erasures: int


@dataclasses.dataclass(frozen=True)
class MatcherStatus:
    """A replica of the matcher and what it uses; `maintenance` is None until it was read."""

    server_version: str
    uptime_seconds: float
    serving: bool
    calls_in_flight: int
    database: DatabaseStatus
    encoder: EncoderStatus
    queues: Sequence[Queue]
    standbys: Sequence[StandbyStatus]
    maintenance: MaintenanceStatus | None
