"""Faces in bulk: what goes into an import and comes out of an export."""

import dataclasses
import datetime
from collections.abc import Sequence
from typing import Self

import numpy as np
import numpy.typing as npt
from google.protobuf.timestamp_pb2 import Timestamp

from facerec.client.times import timestamp, utc
from facerec.errors import FacerecError, Reason
from facerec.matcher import v1

DIMENSIONS = 128


@dataclasses.dataclass(frozen=True, eq=False)
class FaceBatch:
    """Some faces in columns: vectors, float32 of shape (n, 128), and as many items in each other column.

    A vector's values are from -1000 to 1000. An empty column stands for nothing in all of it; an expire
    time of None is never. An import commits a batch, of at most 10,000 faces, at once.
    """

    encodings: npt.NDArray[np.float32]
    person_ids: Sequence[str]
    display_names: Sequence[str] = ()
    external_refs: Sequence[str] = ()
    expire_times: Sequence[datetime.datetime | None] = ()
    fingerprints: Sequence[str] = ()
    space: str = ""
    """Of an export, the space of its vectors."""

    def __len__(self) -> int:
        return len(self.person_ids)

    @classmethod
    def from_message(cls, message: v1.ExportFacesResponse) -> Self:
        """Read the contract's message."""
        chunk = message.chunk
        return cls(
            np.frombuffer(chunk.encodings, "<f4").reshape(-1, DIMENSIONS),
            tuple(chunk.person_ids),
            tuple(chunk.display_names),
            tuple(chunk.external_refs),
            tuple(utc(time) if time.seconds or time.nanos else None for time in chunk.expire_times),
            tuple(chunk.fingerprints),
            message.space,
        )

    def to_message(self) -> v1.FaceChunk:
        """Write the contract's message. Raises FacerecError ENCODING_INVALID."""
        vectors = np.ascontiguousarray(self.encodings, "<f4")
        if vectors.shape != (len(self), DIMENSIONS):
            raise FacerecError(
                f"{len(self)} faces have encodings of shape ({len(self)}, {DIMENSIONS}), not {vectors.shape}",
                reason=Reason.ENCODING_INVALID,
                field="chunk.encodings",
            )
        message = v1.FaceChunk(
            encodings=vectors.tobytes(),
            person_ids=self.person_ids,
            display_names=self.display_names,
            external_refs=self.external_refs,
            fingerprints=self.fingerprints,
        )
        for time in self.expire_times:
            moment = timestamp(time, "chunk.expire_times")
            message.expire_times.append(moment or Timestamp())
        return message


@dataclasses.dataclass(frozen=True)
class RefusedRow:
    """A face that was not taken: its place in the whole import, the column at fault, how to mend it."""

    row: int
    field: str
    message: str


@dataclasses.dataclass(frozen=True)
class ImportReport:
    """What an import did so far, in faces and persons; it goes on at `next_row`."""

    next_row: int
    faces_added: int
    faces_already_there: int
    rows_refused: int
    persons_added: int
    refused: tuple[RefusedRow, ...] = ()

    @classmethod
    def from_message(cls, message: v1.ImportFacesResponse | v1.GetImportResponse) -> Self:
        """Read either of the contract's messages."""
        told = message.refused if isinstance(message, v1.ImportFacesResponse) else ()
        return cls(
            message.next_row,
            message.faces_added,
            message.faces_already_there,
            message.rows_refused,
            message.persons_added,
            tuple(RefusedRow(row.row, row.field, row.message) for row in told),
        )


def header(
    *,
    space: str,
    import_id: str,
    first_row: int = 0,
    dry_run: bool = False,
    ignore_duplicate_policy: bool = False,
    collection_id: str = "",
) -> v1.ImportFacesRequest:
    """What an import begins with."""
    return v1.ImportFacesRequest(
        header=v1.ImportHeader(
            collection_id=collection_id,
            space=space,
            import_id=import_id,
            first_row=first_row,
            dry_run=dry_run,
            ignore_duplicate_policy=ignore_duplicate_policy,
        )
    )


def tail(batch: FaceBatch, first: int) -> FaceBatch:
    """The batch without its first faces."""
    return dataclasses.replace(
        batch,
        encodings=batch.encodings[first:],
        person_ids=batch.person_ids[first:],
        display_names=batch.display_names[first:],
        external_refs=batch.external_refs[first:],
        expire_times=batch.expire_times[first:],
        fingerprints=batch.fingerprints[first:],
    )
