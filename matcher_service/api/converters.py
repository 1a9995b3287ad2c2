"""Messages to what the domain speaks of, checked, and back."""

import datetime
from typing import TypeVar

import numpy as np
from google.protobuf.timestamp_pb2 import Timestamp

from facerec.encoder.v1 import encoder_pb2
from facerec.matcher.v1 import erasure_pb2
from facerec.matcher.v1 import matcher_pb2 as pb
from facerec.serving.middleware import call
from matcher_service.api import rights
from matcher_service.domain import ids
from matcher_service.domain.errors import EncodingInvalid, ImageRefused, OptionInvalid
from matcher_service.domain.faces import (
    MAX_VALUE,
    BoundingBox,
    Candidate,
    DuplicateCheck,
    Encoding,
    EnrolledFace,
    Enrollment,
    Erasure,
    Face,
    FaceChange,
    Identification,
    Person,
    Photo,
    Probe,
    Quality,
    SearchMode,
)
from matcher_service.persons.persons import Item

T = TypeVar("T")
U = TypeVar("U")
DIMENSIONS = 128
MAX_SPACE_CHARACTERS = 128
MODES = {
    SearchMode.EXACT: pb.SEARCH_MODE_EXACT,
    SearchMode.INDEX: pb.SEARCH_MODE_INDEX,
    SearchMode.INDEX_CONFIRMED: pb.SEARCH_MODE_INDEX_CONFIRMED,
}
CHANGEABLE = {"external_ref", "expire_time"}  # of a face
KNOWN_SPACE = "dlib-resnet-v1/small/150x0.25"


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
            return Probe(ids.face_id(message.face_id, f"{field}.face_id"), field)
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
            f"face_recognition's face_encodings it is {KNOWN_SPACE}",
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


def if_scores(value: T, withheld: U) -> T | U:
    """A distance, or what tells more of one than a match, as the present caller may see it."""
    return value if call.may_see_scores() else withheld


def moment(message: Timestamp, field: str) -> datetime.datetime:
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
    ends = "expire_time" in named
    return FaceChange(
        external_ref=ids.free_text(message.external_ref, "external_ref") if "external_ref" in named else None,
        ends=ends,
        expire_time=moment(message.expire_time, "expire_time")
        if ends and message.HasField("expire_time")
        else None,
    )


def person_message(person: Person) -> pb.Person:
    """Write a person."""
    message = pb.Person(person_id=person.person_id, display_name=person.display_name, face_count=person.faces)
    message.create_time.FromDatetime(person.create_time)
    message.update_time.FromDatetime(person.update_time)
    return message


def face_message(face: Face) -> pb.Face:
    """Write a stored face."""
    message = pb.Face(
        face_id=str(face.face_id),
        person_id=face.person_id,
        external_ref=face.external_ref,
        space=face.space,
        fingerprint=face.fingerprint,
    )
    message.create_time.FromDatetime(face.create_time)
    if face.expire_time is not None:
        message.expire_time.FromDatetime(face.expire_time)
    return message


def enrollment_message(enrollment: Enrollment) -> pb.EnrollResponse:
    """Write the outcome of an enrolment."""
    return pb.EnrollResponse(
        person=person_message(enrollment.person),
        faces=[_enrolled_message(enrolled) for enrolled in enrollment.faces],
        person_created=enrollment.person_created,
    )


def _enrolled_message(enrolled: EnrolledFace) -> pb.EnrolledFace:
    message = pb.EnrolledFace(
        face=face_message(enrolled.face),
        already_enrolled=enrolled.already_enrolled,
        quality=quality_message(enrolled.quality),
    )
    if enrolled.duplicates is not None:
        message.MergeFrom(_duplicates_message(enrolled.duplicates))
    return message


def _duplicates_message(check: DuplicateCheck) -> pb.EnrolledFace:
    other = check.other
    return pb.EnrolledFace(
        duplicate_check=if_scores(MODES[check.mode], pb.SEARCH_MODE_UNSPECIFIED),
        duplicate=None
        if other is None
        else pb.Duplicate(
            person_id=other.person_id,
            distance=if_scores(other.distance, None),
            face_id=if_scores(str(other.face_id), ""),
        ),
    )


def identified_message(answer: Identification) -> pb.IdentifiedFace:
    """Write who one face is."""
    return pb.IdentifiedFace(
        probe_index=answer.probe_index,
        bounding_box=None if answer.box is None else _box_message(answer.box),
        candidates=[_candidate_message(candidate) for candidate in answer.candidates],
        mode=if_scores(MODES[answer.mode], pb.SEARCH_MODE_UNSPECIFIED),
        exact=if_scores(answer.mode is not SearchMode.INDEX, None),
        faces_searched=if_scores(answer.faces, 0),
        quality=quality_message(answer.quality),
        matched_persons=answer.matched_persons,
    )


def erasure_message(erasure: Erasure) -> erasure_pb2.GetErasureResponse:
    """Write what has become of an erasure."""
    state = erasure_pb2.ERASURE_STATE_PENDING
    if erasure.vacuum_time is not None:
        state = erasure_pb2.ERASURE_STATE_VACUUMED
    if erasure.scrub_time is not None:
        state = erasure_pb2.ERASURE_STATE_SCRUBBED
    message = erasure_pb2.GetErasureResponse(
        state=state, persons_deleted=erasure.persons, faces_deleted=erasure.faces
    )
    message.delete_time.FromDatetime(erasure.delete_time)
    if erasure.vacuum_time is not None:
        message.vacuum_time.FromDatetime(erasure.vacuum_time)
    if erasure.scrub_time is not None:
        message.scrub_time.FromDatetime(erasure.scrub_time)
    return message


def quality_message(quality: Quality | None) -> encoder_pb2.Quality | None:
    """Write how fit a face is to be compared, where a picture showed it."""
    if quality is None:
        return None
    return encoder_pb2.Quality(
        face_pixels=quality.face_pixels,
        sharpness=quality.sharpness,
        brightness=quality.brightness,
        contrast=quality.contrast,
        pose=encoder_pb2.Pose(roll_degrees=quality.roll_degrees, yaw=quality.yaw, pitch=quality.pitch),
        outside=quality.outside,
        noise=quality.noise,
        flatness=quality.flatness,
        unevenness=quality.unevenness,
        reasons=[encoder_pb2.QualityReason.Value(f"QUALITY_REASON_{reason}") for reason in quality.reasons],
    )


def _candidate_message(candidate: Candidate) -> pb.Candidate:
    return pb.Candidate(
        person_id=candidate.person_id,
        display_name=candidate.display_name,
        distance=if_scores(candidate.distance, None),
        face_id=if_scores(str(candidate.face_id), ""),
    )


def _box_message(box: BoundingBox) -> encoder_pb2.BoundingBox:
    return encoder_pb2.BoundingBox(top=box.top, right=box.right, bottom=box.bottom, left=box.left)
