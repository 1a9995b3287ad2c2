"""Convert the messages of imports and exports to the domain's dataclasses, checked, and back."""

import datetime
from collections.abc import AsyncIterator, Sequence
from typing import Any

import numpy as np

from facerec.contract import DIMENSIONS
from facerec.matcher.v1 import transfer_pb2 as pb
from facerec.serving.auth.errors import NotPermitted
from facerec.serving.middleware import call
from matcher_service import caller_rights as rights
from matcher_service.api.converters.attributes import attribute_change, metadata_struct
from matcher_service.api.converters.requests import space
from matcher_service.domain import ids
from matcher_service.domain.attributes import AttributeChange, Attributes
from matcher_service.domain.errors import EncodingInvalid, MatcherError, OptionInvalid
from matcher_service.transfer.chunks import Chunk, Header, Progress, Refused

MAX_CHUNK_FACES = 10_000
MAX_CHUNK_FINGERPRINTS = 64
MAX_REPORTED = 1000
_ROW_BYTES = 4 * DIMENSIONS


async def header(requests: AsyncIterator[pb.ImportFacesRequest]) -> Header:
    """Read a stream's first request.

    Raises OptionInvalid, IdInvalid, EncodingInvalid, EncodingsNotPermitted.
    """
    async for request in requests:
        rights.check_may_send_encoding("header")
        message = request.header
        if request.WhichOneof("part") != "header":
            break
        if not message.space:
            raise EncodingInvalid(
                "the space of the encodings is not set: set header.space", field="header.space"
            )
        return Header(
            ids.collection_id(message.collection_id),
            space(message.space, "header.space"),
            ids.import_id(message.import_id, "header.import_id"),
            message.first_row,
            message.dry_run,
            message.ignore_duplicate_policy,
        )
    raise OptionInvalid("the first message of an import must be its header", field="header")


def chunk(request: pb.ImportFacesRequest) -> Chunk:
    """Read one chunk. Raises OptionInvalid, EncodingInvalid, EncodingsNotPermitted."""
    rights.check_may_send_encoding(
        "chunk.encodings"
    )  # for each chunk: a key's rights may be reduced while its stream runs
    if request.WhichOneof("part") != "chunk":
        raise OptionInvalid("every message after the header must be a chunk", field="chunk")
    message = request.chunk
    _check_may_suspend(message)
    faces = ids.count(len(message.person_ids), "chunk.person_ids", 1, MAX_CHUNK_FACES)
    if len(message.encodings) != faces * _ROW_BYTES:
        raise EncodingInvalid(
            f"the encodings of {faces} faces must be {faces * _ROW_BYTES} bytes; these are "
            f"{len(message.encodings)}",
            field="chunk.encodings",
        )
    fingerprints = len(set(message.fingerprints))
    if fingerprints > MAX_CHUNK_FINGERPRINTS:
        raise EncodingInvalid(
            f"a chunk may have at most {MAX_CHUNK_FINGERPRINTS} different fingerprints; this one has "
            f"{fingerprints}: a fingerprint says what computed an encoding, not whose it is",
            field="chunk.fingerprints",
        )
    return Chunk(
        np.frombuffer(message.encodings, "<f4").reshape(faces, DIMENSIONS).astype(np.float32),
        list(message.person_ids),
        _column(message.display_names, faces, "display_names", ""),
        _column(message.external_refs, faces, "external_refs", ""),
        [_expire_time(time) for time in _column(message.expire_times, faces, "expire_times", None)],
        _column(message.fingerprints, faces, "fingerprints", ""),
        [_attributes(each) for each in _column(message.attributes, faces, "attributes", None)],
    )


def _column(values: Sequence[Any], faces: int, name: str, missing: Any) -> list[Any]:
    if values and len(values) != faces:
        raise OptionInvalid(
            f"{name} must be empty or have one item per face ({faces}); it has {len(values)}",
            field=f"chunk.{name}",
        )
    return list(values) or [missing] * faces


def _attributes(message: pb.Attributes | None) -> AttributeChange | MatcherError:
    """What to set on a face's person, or the error of the row. Empty metadata keeps the person's."""
    if message is None:
        return AttributeChange()
    try:
        given = attribute_change(message)
    except OptionInvalid as error:
        return OptionInvalid(error.message, field="attributes")
    return AttributeChange(
        given.labels,
        metadata=given.metadata or None,
        suspended=message.suspended if message.HasField("suspended") else None,
    )


def _check_may_suspend(message: pb.FaceChunk) -> None:
    """Raises NotPermitted: the role enroll alone may not resume a person who was suspended."""
    if not call.is_admin() and any(each.HasField("suspended") for each in message.attributes):
        raise NotPermitted(
            "suspending or resuming people by an import requires the role admin: leave it out, or use a key "
            "with that role",
            field="chunk.attributes",
        )


def _expire_time(message: Any) -> datetime.datetime | None:
    """A face's expire time; an invalid one becomes a time in the past, so that its row is refused."""
    if message is None or not (message.seconds or message.nanos):
        return None
    try:
        time: datetime.datetime = message.ToDatetime(tzinfo=datetime.UTC)
    except (ValueError, OverflowError):
        return datetime.datetime.min.replace(tzinfo=datetime.UTC)
    return time


def import_message(total: Progress, refused: Sequence[Refused]) -> pb.ImportFacesResponse:
    """Build the result of an import call."""
    return pb.ImportFacesResponse(
        faces_added=total.faces_added,
        faces_already_there=total.faces_already_there,
        rows_refused=total.rows_refused,
        persons_added=total.persons_added,
        refused=[pb.RefusedRow(row=each.row, field=each.field, message=each.message) for each in refused],
        next_row=total.next_row,
    )


def progress_message(progress: Progress) -> pb.GetImportResponse:
    """Build an import's progress."""
    return pb.GetImportResponse(
        next_row=progress.next_row,
        faces_added=progress.faces_added,
        faces_already_there=progress.faces_already_there,
        rows_refused=progress.rows_refused,
        persons_added=progress.persons_added,
    )


def export_message(space: str, faces: Chunk) -> pb.ExportFacesResponse:
    """Build a message of exported faces."""
    message = pb.FaceChunk(
        encodings=faces.encodings.astype("<f4").tobytes(),
        person_ids=faces.person_ids,
        display_names=faces.display_names,
        external_refs=faces.external_refs,
        fingerprints=faces.fingerprints,
    )
    for change in faces.attributes:
        assert isinstance(change, AttributeChange)
        message.attributes.add(
            labels=change.labels,
            metadata=metadata_struct(Attributes(metadata=change.metadata or "")),
            suspended=change.suspended,
        )
    for time in faces.expire_times:
        added = message.expire_times.add()
        if time is not None:
            added.FromDatetime(time)
    return pb.ExportFacesResponse(space=space, chunk=message)
