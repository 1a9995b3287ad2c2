"""Positions in the write-ahead log: what the primary has committed, and what a standby has replayed."""

import dataclasses
import enum

from matcher_service.postgres.session import Row

# Of a page of the log, and of the first page of each of its files: xlog_internal.h of PostgreSQL.
PAGE_HEADER_BYTES, FILE_HEADER_BYTES = 24, 40


class Unfit(enum.StrEnum):
    """Why a standby does not answer a read: the label of the metric, and a word of the log."""

    UNAVAILABLE = "unavailable"  # no connection, or it was lost
    UNRESPONSIVE = "unresponsive"  # a connection, and no answer in time
    LAGGING = "lagging"  # it has not replayed what is committed
    PROMOTED = "promoted"  # it is no standby
    OTHER_DATABASE = "other_database"  # of another cluster, or another database of this one
    OTHER_TIMELINE = (
        "other_timeline"  # it follows another primary, or has not recorded that it follows this one
    )
    CONFLICT = "conflict"  # replay cancelled the statement


@dataclasses.dataclass(frozen=True)
class Position:
    """The end of the primary's log when it was read; `flushed` is whether the disk has it all.

    `lsn` is in bytes, comparable on one `timeline` of one `system` (pg_control_system); `database` is a name.
    """

    system: int
    database: str
    timeline: int
    lsn: int
    flushed: bool

    @classmethod
    def of(cls, row: Row) -> "Position":
        """Read a row of `commit_position`."""
        lsn = end_of_record(row["insert_lsn"], row["block_bytes"], row["segment_bytes"])
        return cls(row["system"], row["database"], row["timeline"], lsn, lsn <= row["flush_lsn"])

    def comparable(self, other: "Position") -> bool:
        """Whether both are of one database and timeline."""
        return (self.system, self.database, self.timeline) == (other.system, other.database, other.timeline)


@dataclasses.dataclass(frozen=True)
class Replay:
    """What a standby has replayed; `lsn` is None on a primary that never was a standby.

    `streaming` is whether it is connected to the server that it follows.
    """

    in_recovery: bool
    system: int
    database: str
    timeline: int
    lsn: int | None
    streaming: bool = False

    @classmethod
    def of(cls, row: Row) -> "Replay":
        """Read a row of `replay_position`."""
        server = row["in_recovery"], row["system"], row["database"], row["timeline"]
        return cls(*server, row["lsn"], row["streaming"])


def end_of_record(insert_lsn: int, block_bytes: int, segment_bytes: int) -> int:
    """The end of the last record, where `insert_lsn` is the start of the next one.

    They differ if the last record ends with a page: the next one begins after the header of a page that has
    no record yet, and replay never gets there.
    """
    in_file = insert_lsn % segment_bytes
    header = FILE_HEADER_BYTES if in_file < block_bytes else PAGE_HEADER_BYTES
    return insert_lsn - header if in_file % block_bytes == header else insert_lsn


def why_unfit(position: Position, replay: Replay) -> Unfit | None:
    """Why a standby may lack something that is committed at `position`; None if it has all of it."""
    if (replay.system, replay.database) != (position.system, position.database):
        return Unfit.OTHER_DATABASE
    if not replay.in_recovery:
        return Unfit.PROMOTED
    # Without this a standby of a primary that failed could pass for one of its successor: it may have
    # replayed more of the old timeline than the promoted standby had.
    if replay.timeline != position.timeline:
        return Unfit.OTHER_TIMELINE
    if replay.lsn is None or replay.lsn < position.lsn:
        return Unfit.LAGGING
    return None
