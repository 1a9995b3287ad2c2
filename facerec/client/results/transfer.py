"""Bulk transfer of faces: batches of imports and exports, and the report of an import."""

import dataclasses
import datetime
import itertools
from collections.abc import Sequence
from typing import Self

import numpy as np
import numpy.typing as npt
from google.protobuf.timestamp_pb2 import Timestamp

from facerec.client.attributes import Labels, Metadata, metadata_of, metadata_struct
from facerec.client.times import timestamp, utc
from facerec.contract import DIMENSIONS
from facerec.errors import FacerecError, Reason
from facerec.matcher import v1


@dataclasses.dataclass(frozen=True, eq=False)
class FaceBatch:
    """Faces in columns: item n of each column is of face n. An import commits each batch at once.

    Attributes:
        encodings: The vectors: an array of shape (n, 128), n from 1 to 10,000, sent as float32, of numbers
            from -1000 to 1000.
        person_ids: Whose face each is.
        display_names: Display texts; one that is not "" replaces the person's. This column and those below
            have one item per face, or are empty, which means none for any face.
        external_refs: The caller's own references to the faces, up to 256 characters each; "" for none.
        expire_times: When each face expires, a future time with a time zone: from then on no call sees it.
            None for never.
        fingerprints: The provenance of each vector (see `Encoding`); "" where unknown. A batch has at most 64
            different ones.
        labels: Labels to set on each face's person, who keeps those of other keys. An export has them with
            the first face of each person.
        metadata: Data of your own that replaces that of each face's person; {} leaves it. As `labels` in an
            export.
        suspended: Whether each face's person is suspended; None leaves it. In an import it needs a key with
            the role admin. As `labels` in an export.
        space: In an export the space of the vectors; ignored in an import, which has an argument for it.

    Example:
        >>> batch = FaceBatch(np.zeros((2, 128), np.float32), ["ann", "bob"], external_refs=["a-1", "b-1"])
        >>> len(batch)
        2
    """

    encodings: npt.NDArray[np.float32]
    person_ids: Sequence[str]
    display_names: Sequence[str] = ()
    external_refs: Sequence[str] = ()
    expire_times: Sequence[datetime.datetime | None] = ()
    fingerprints: Sequence[str] = ()
    space: str = ""
    labels: Sequence[Labels] = ()
    metadata: Sequence[Metadata] = ()
    suspended: Sequence[bool | None] = ()

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
            tuple(dict(each.labels) for each in chunk.attributes),
            tuple(map(metadata_of, chunk.attributes)),
            tuple(each.suspended if each.HasField("suspended") else None for each in chunk.attributes),
        )

    def to_message(self) -> v1.FaceChunk:
        """Write the contract's message.

        Raises FacerecError: ENCODING_INVALID where the vectors' shape does not fit, OPTION_INVALID where a
        time is no datetime or has no time zone.
        """
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
            message.expire_times.append(timestamp(time, "chunk.expire_times") or Timestamp())
        columns = itertools.zip_longest(self.labels, self.metadata, self.suspended)
        for labels, metadata, suspended in columns:
            struct = metadata_struct(metadata or None, "chunk.attributes.metadata")
            message.attributes.add(labels=labels, metadata=struct, suspended=suspended)
        return message


@dataclasses.dataclass(frozen=True)
class RefusedRow:
    """A face that an import refused.

    Attributes:
        row: The face's index in the whole import, from 0.
        field: The invalid column, such as person_ids or encodings.
        message: What is wrong, and how to fix it.
    """

    row: int
    field: str
    message: str


@dataclasses.dataclass(frozen=True)
class ImportReport:
    """What an import did: in the answer of `import_faces` in that call, in `get_import` in all calls so far.

    Attributes:
        next_row: The row at which the import continues: how many of its faces were processed.
        faces_added: How many faces are new.
        faces_already_there: How many faces their person already had.
        rows_refused: How many faces were refused.
        persons_added: How many persons are new.
        refused: The first of the refused faces, 1,000 at most; empty in `get_import`.
    """

    next_row: int
    faces_added: int
    faces_already_there: int
    rows_refused: int
    persons_added: int
    refused: tuple[RefusedRow, ...] = ()

    @classmethod
    def from_message(cls, message: v1.ImportFacesResponse | v1.GetImportResponse) -> Self:
        """Read either of the contract's messages."""
        refused = message.refused if isinstance(message, v1.ImportFacesResponse) else ()
        return cls(
            message.next_row,
            message.faces_added,
            message.faces_already_there,
            message.rows_refused,
            message.persons_added,
            tuple(RefusedRow(row.row, row.field, row.message) for row in refused),
        )


def without_first(batch: FaceBatch, count: int) -> FaceBatch:
    """The batch without its first `count` faces."""
    return dataclasses.replace(
        batch,
        encodings=batch.encodings[count:],
        person_ids=batch.person_ids[count:],
        display_names=batch.display_names[count:],
        external_refs=batch.external_refs[count:],
        expire_times=batch.expire_times[count:],
        fingerprints=batch.fingerprints[count:],
        labels=batch.labels[count:],
        metadata=batch.metadata[count:],
        suspended=batch.suspended[count:],
    )
