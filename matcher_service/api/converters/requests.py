"""Read and check requests: probes, encodings, times and changes of a face."""

import datetime

import numpy as np
from google.protobuf.timestamp_pb2 import Timestamp

from facerec.contract import DEFAULT_SPACE, DIMENSIONS
from facerec.encoder.v1 import encoder_pb2
from facerec.matcher.v1 import consistency_pb2
from facerec.matcher.v1 import matcher_pb2 as pb
from matcher_service import caller_rights as rights
from matcher_service.domain import ids
from matcher_service.domain.errors import EncodingInvalid, ImageRefused, OptionInvalid
from matcher_service.domain.faces import (
    MAX_VALUE,
    Encoding,
    FaceChange,
    PersonProbe,
    Photo,
    Probe,
)
from matcher_service.persons.enrollment import Item

MAX_SPACE_CHARACTERS = 128
CHANGEABLE = {"external_ref", "expire_time"}  # of a face


def probe(message: pb.Probe, field: str, *, searched: bool = False) -> Probe:
    """Read a probe; `searched` if the method does not count failed tries.

    Raises EncodingInvalid, ImageRefused, IdInvalid, OptionInvalid, EncodingsNotPermitted, ScoresWithheld.
    """
    kind = message.WhichOneof("face")
    if kind == "encoding":
        rights.check_may_send_encoding(f"{field}.encoding")
    if kind == "face_id" or (searched and kind == "encoding"):
        rights.check_may_search_by_vector(f"{field}.{kind}")
    if kind == "face_id":
        rights.check_may_name_face(f"{field}.face_id")
    match kind:
        case "encoding":
            return Probe(encoding(message.encoding, f"{field}.encoding"), field)
        case "image":
            if not message.image:
                raise ImageRefused(
                    "the image is empty: send the bytes of an image file", field=f"{field}.image"
                )
            return Probe(Photo(message.image, message.use_largest_face), field)
        case "face_id":
            return Probe(ids.parse_uuid(message.face_id, f"{field}.face_id"), field)
        case "person_id":
            raise OptionInvalid(
                "a person is a probe of Identify, without same_person, and Compare only: send an image or an "
                "encoding, or the face_id of one of the person's faces (ListFaces)",
                field=f"{field}.person_id",
            )
        case _:
            raise OptionInvalid(
                f"the probe is empty: set {field}.encoding, {field}.image or {field}.face_id", field=field
            )


def searched_probe(message: pb.Probe, field: str) -> Probe:
    """Read a probe of a method that does not count failed tries. Raises as `probe`."""
    return probe(message, field, searched=True)


def probe_or_person(message: pb.Probe, field: str) -> Probe | PersonProbe:
    """Read a probe of a method that does not count failed tries and takes persons. Raises as `probe`."""
    if message.WhichOneof("face") != "person_id":
        return searched_probe(message, field)
    rights.check_may_search_by_vector(f"{field}.person_id")
    rights.check_may_name_face(f"{field}.person_id")
    return PersonProbe(ids.person_id(message.person_id, f"{field}.person_id"), field)


def encoding(message: encoder_pb2.Encoding, field: str) -> Encoding:
    """Read a vector. Raises EncodingInvalid."""
    if len(message.values) != DIMENSIONS:
        raise EncodingInvalid(
            f"an encoding must have {DIMENSIONS} values; this one has {len(message.values)}",
            field=f"{field}.values",
        )
    values = np.fromiter(message.values, np.float32, DIMENSIONS)
    if not (np.abs(values) <= MAX_VALUE).all():
        raise EncodingInvalid(
            f"an encoding's values must be numbers from {-MAX_VALUE:g} to {MAX_VALUE:g}",
            field=f"{field}.values",
        )
    if not message.space:
        raise EncodingInvalid(
            "the encoding's space is not set: copy it from the encoder's answer; for vectors of "
            f"face_recognition's face_encodings it is {DEFAULT_SPACE}",
            field=f"{field}.space",
        )
    space(message.space, f"{field}.space")
    return Encoding(values, message.space, ids.fingerprint(message.fingerprint, f"{field}.fingerprint"))


def space(text: str, field: str) -> str:
    """Read a space's name. Raises EncodingInvalid."""
    if len(text) > MAX_SPACE_CHARACTERS or "\0" in text:
        raise EncodingInvalid(
            f"a space must have at most {MAX_SPACE_CHARACTERS} characters and no NUL", field=field
        )
    return text


def future_time(message: Timestamp, field: str) -> datetime.datetime:
    """Read a time in the future. Raises OptionInvalid."""
    try:
        time = message.ToDatetime(tzinfo=datetime.UTC)
    except (ValueError, OverflowError):
        raise OptionInvalid(
            f"{field} is not a valid time: send one in the years 1 to 9999", field=field
        ) from None
    if time <= datetime.datetime.now(datetime.UTC) or time.year == datetime.MAXYEAR:
        raise OptionInvalid(f"{field} must be in the future, and before the year 9999", field=field)
    return time


def max_staleness(message: consistency_pb2.ReadConsistency, max_seconds: float) -> float | None:
    """Read how many seconds old what is read may be; None if it may not be old. Raises OptionInvalid."""
    if not message.HasField("max_staleness"):
        return None
    field = "consistency.max_staleness"
    if not max_seconds:
        raise OptionInvalid(
            f"this matcher answers no stale reads (max_staleness_seconds is 0): leave {field} unset",
            field=field,
        )
    seconds = message.max_staleness.seconds + message.max_staleness.nanos / 1e9
    if not 0 < seconds <= max_seconds:
        raise OptionInvalid(
            f"{field} must be more than 0 and at most {max_seconds:g} seconds; this is {seconds:g}",
            field=field,
        )
    return seconds


def item(message: pb.EnrollItem, field: str) -> Item:
    """Read one face to enroll. Raises as `probe`."""
    external_ref = ids.free_text(message.external_ref, f"{field}.external_ref")
    return Item(probe(message.probe, f"{field}.probe"), external_ref)


def face_change(message: pb.UpdateFaceRequest) -> FaceChange:
    """Read a change of a face. Raises OptionInvalid."""
    named = {name for name in CHANGEABLE if message.HasField(name)}  # type: ignore[arg-type]
    if message.HasField("update_mask"):
        wanted = set(message.update_mask.paths)
        if not wanted <= CHANGEABLE:
            raise OptionInvalid(
                f"update_mask may name only {' and '.join(sorted(CHANGEABLE))}", field="update_mask"
            )
        if left_out := sorted(named - wanted):
            raise OptionInvalid(
                f"{left_out[0]} is set but not in update_mask: add it there, or leave it unset",
                field=left_out[0],
            )
        named = wanted
    if not named:
        raise OptionInvalid(
            "the request changes nothing: set external_ref or expire_time, or name them in update_mask",
            field="update_mask",
        )
    changes_expiry = "expire_time" in named
    return FaceChange(
        external_ref=ids.free_text(message.external_ref, "external_ref") if "external_ref" in named else None,
        changes_expiry=changes_expiry,
        expire_time=future_time(message.expire_time, "expire_time")
        if changes_expiry and message.HasField("expire_time")
        else None,
    )
