"""Requests read: probes, encodings, times, and what is to change."""

import datetime

import numpy as np
from google.protobuf.timestamp_pb2 import Timestamp

from facerec.contract import DEFAULT_SPACE, DIMENSIONS
from facerec.encoder.v1 import encoder_pb2
from facerec.matcher.v1 import matcher_pb2 as pb
from matcher_service import caller_rights as rights
from matcher_service.domain import ids
from matcher_service.domain.errors import EncodingInvalid, ImageRefused, OptionInvalid
from matcher_service.domain.faces import (
    MAX_VALUE,
    Encoding,
    FaceChange,
    Photo,
    Probe,
)
from matcher_service.persons.enrollment import Item

MAX_SPACE_CHARACTERS = 128
CHANGEABLE = {"external_ref", "expire_time"}  # of a face


def probe(message: pb.Probe, field: str, *, searched: bool = False) -> Probe:
    """Read a probe; `searched` where no failed tries are counted.

    Raises EncodingInvalid, ImageRefused, IdInvalid, OptionInvalid, EncodingsNotPermitted, ScoresWithheld.
    """
    kind = message.WhichOneof("face")
    if kind == "encoding":
        rights.check_encoding(f"{field}.encoding")
    if kind == "face_id" or (searched and kind == "encoding"):
        rights.check_search(f"{field}.{kind}")
    match kind:
        case "encoding":
            return Probe(encoding(message.encoding, f"{field}.encoding"), field)
        case "image":
            if not message.image:
                raise ImageRefused("the picture is empty", field=f"{field}.image")
            return Probe(Photo(message.image, message.use_largest_face), field)
        case "face_id":
            return Probe(ids.parse_uuid(message.face_id, f"{field}.face_id"), field)
        case _:
            raise OptionInvalid(
                f"set {field}.encoding, {field}.image or {field}.face_id: a probe is one of them", field=field
            )


def encoding(message: encoder_pb2.Encoding, field: str) -> Encoding:
    """Read a vector. Raises EncodingInvalid."""
    if len(message.values) != DIMENSIONS:
        raise EncodingInvalid(
            f"an encoding has {DIMENSIONS} values and this one {len(message.values)}", field=f"{field}.values"
        )
    values = np.fromiter(message.values, np.float32, DIMENSIONS)
    if not (np.abs(values) <= MAX_VALUE).all():
        raise EncodingInvalid(
            f"an encoding's values are numbers from {-MAX_VALUE:g} to {MAX_VALUE:g}", field=f"{field}.values"
        )
    if not message.space:
        raise EncodingInvalid(
            "say which space the encoding is of: an encoder's answer has it, and for vectors of "
            f"face_recognition's face_encodings it is {DEFAULT_SPACE}",
            field=f"{field}.space",
        )
    space(message.space, f"{field}.space")
    return Encoding(values, message.space, ids.fingerprint(message.fingerprint, f"{field}.fingerprint"))


def space(text: str, field: str) -> str:
    """Read a space's name. Raises EncodingInvalid."""
    if len(text) > MAX_SPACE_CHARACTERS or "\0" in text:
        raise EncodingInvalid(
            f"a space has at most {MAX_SPACE_CHARACTERS} characters and no NUL", field=field
        )
    return text


def future_time(message: Timestamp, field: str) -> datetime.datetime:
    """Read a time to come. Raises OptionInvalid."""
    try:
        time = message.ToDatetime(tzinfo=datetime.UTC)
    except (ValueError, OverflowError):
        raise OptionInvalid("not a time from the year 1 to 9999", field=field) from None
    if time <= datetime.datetime.now(datetime.UTC) or time.year == datetime.MAXYEAR:
        raise OptionInvalid("the time is to come, and before the year 9999", field=field)
    return time


def item(message: pb.EnrollItem, field: str) -> Item:
    """Read one face to add. Raises as `probe` does."""
    external_ref = ids.free_text(message.external_ref, f"{field}.external_ref")
    return Item(probe(message.probe, f"{field}.probe"), external_ref)


def face_change(message: pb.UpdateFaceRequest) -> FaceChange:
    """Read what is to change of a face. Raises OptionInvalid."""
    named = {name for name in CHANGEABLE if message.HasField(name)}  # type: ignore[arg-type]
    if message.HasField("update_mask"):
        wanted = set(message.update_mask.paths)
        if not wanted <= CHANGEABLE:
            raise OptionInvalid(f"update_mask names {' and '.join(sorted(CHANGEABLE))}", field="update_mask")
        if left_out := sorted(named - wanted):
            raise OptionInvalid(f"{left_out[0]} is set and update_mask does not name it", field=left_out[0])
        named = wanted
    if not named:
        raise OptionInvalid(
            "set external_ref or expire_time, or name them in update_mask", field="update_mask"
        )
    changes_expiry = "expire_time" in named
    return FaceChange(
        external_ref=ids.free_text(message.external_ref, "external_ref") if "external_ref" in named else None,
        changes_expiry=changes_expiry,
        expire_time=future_time(message.expire_time, "expire_time")
        if changes_expiry and message.HasField("expire_time")
        else None,
    )
