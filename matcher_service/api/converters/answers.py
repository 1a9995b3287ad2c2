"""Build response messages: people, faces, candidates, and the distances that the caller may see."""

from collections.abc import Sequence
from typing import TypeVar

from facerec import quality_messages
from facerec.encoder.v1 import encoder_pb2
from facerec.matcher.v1 import erasure_pb2, score_rule_pb2
from facerec.matcher.v1 import matcher_pb2 as pb
from facerec.quality import Quality
from facerec.serving.middleware import call
from matcher_service.api.converters.attributes import metadata_struct
from matcher_service.domain.attributes import Attributes
from matcher_service.domain.faces import (
    BoundingBox,
    Candidate,
    EnrolledFace,
    Enrollment,
    Erasure,
    Face,
    Identification,
    Inconsistency,
    OthersCheck,
    Person,
    ScoreRule,
    SearchMode,
    Verification,
)

T = TypeVar("T")
U = TypeVar("U")
Receipt = TypeVar("Receipt", pb.DeletePersonResponse, pb.BatchDeletePersonsResponse)
MODES = {
    SearchMode.EXACT: pb.SEARCH_MODE_EXACT,
    SearchMode.INDEX: pb.SEARCH_MODE_INDEX,
    SearchMode.INDEX_CONFIRMED: pb.SEARCH_MODE_INDEX_CONFIRMED,
}

SCORE_RULES = {
    ScoreRule.NEAREST.value: score_rule_pb2.SCORE_RULE_NEAREST,
    ScoreRule.ROOT_MEAN_SQUARE.value: score_rule_pb2.SCORE_RULE_ROOT_MEAN_SQUARE,
}


def if_scores(value: T, withheld: U) -> T | U:
    """Return `value` if the caller may see distances, else `withheld`."""
    return value if call.may_see_scores() else withheld


def person_message(person: Person) -> pb.Person:
    """Build a person."""
    message = pb.Person(
        person_id=person.person_id,
        display_name=person.display_name,
        face_count=person.faces,
        labels=person.attributes.labels,
        metadata=metadata_struct(person.attributes),
        suspended=person.suspended,
    )
    message.create_time.FromDatetime(person.create_time)
    message.update_time.FromDatetime(person.update_time)
    return message


def face_message(face: Face) -> pb.Face:
    """Build a stored face."""
    message = pb.Face(
        face_id=str(face.face_id),
        person_id=face.person_id,
        external_ref=face.external_ref,
        space=face.space,
        fingerprint=face.fingerprint,
        quality=quality_message(face.quality),
    )
    message.create_time.FromDatetime(face.create_time)
    if face.expire_time is not None:
        message.expire_time.FromDatetime(face.expire_time)
    return message


def enrollment_message(enrollment: Enrollment) -> pb.EnrollResponse:
    """Build the result of an enrollment."""
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
    if enrolled.others is not None:
        message.MergeFrom(_others_message(enrolled.others))
    return message


def _others_message(check: OthersCheck) -> pb.EnrolledFace:
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
        inconsistency=None if check.inconsistency is None else _inconsistency_message(check.inconsistency),
    )


def _inconsistency_message(found: Inconsistency) -> pb.Inconsistency:
    return pb.Inconsistency(
        person_id=found.other.person_id,
        distance=if_scores(found.other.distance, None),
        own_distance=if_scores(found.own_distance, None),
        face_id=if_scores(str(found.other.face_id), ""),
        own_face_id=if_scores(str(found.own_face_id), ""),
    )


def verification_message(verification: Verification, *, several: bool) -> pb.VerifyResponse:
    """Build the decision on a claim, of `several` photos or one."""
    attributes = verification.attributes or Attributes()
    qualities = verification.qualities
    return pb.VerifyResponse(
        match=verification.match,
        distance=if_scores(verification.distance, None),
        threshold=verification.threshold,
        nearest_face_id=if_scores(str(verification.nearest_face_id), ""),
        faces_compared=verification.faces,
        space=verification.space,
        quality=None if several else quality_message(qualities[0]),
        labels=attributes.labels,
        metadata=metadata_struct(attributes),
        score_rule=SCORE_RULES[verification.rule.value],
        photos=len(qualities),
        qualities=_quality_messages(qualities) if several else (),
    )


def identified_message(answer: Identification) -> pb.IdentifiedFace:
    """Build the answer for one face."""
    return pb.IdentifiedFace(
        probe_index=answer.probe_index,
        bounding_box=None if answer.box is None else _box_message(answer.box),
        candidates=[_candidate_message(candidate) for candidate in answer.candidates],
        mode=if_scores(MODES[answer.mode], pb.SEARCH_MODE_UNSPECIFIED),
        exact=if_scores(answer.mode is not SearchMode.INDEX, None),
        faces_searched=if_scores(answer.faces, 0),
        quality=quality_message(answer.quality),
        matched_persons=answer.matched_persons,
        photos=len(answer.qualities) or 1,
        qualities=_quality_messages(answer.qualities),
        image_width=answer.box.image_width if answer.box else 0,
        image_height=answer.box.image_height if answer.box else 0,
    )


def receipt(message: Receipt, erasure: Erasure) -> Receipt:
    """Write the receipt of an erasure of persons into a new message."""
    message.persons_deleted = erasure.persons
    message.faces_deleted = erasure.faces
    message.erasure_id = str(erasure.erasure_id or "")
    message.delete_time.FromDatetime(erasure.delete_time)
    return message


def erasure_message(erasure: Erasure) -> erasure_pb2.GetErasureResponse:
    """Build the state of an erasure."""
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
    """Build a face's quality; None for a face that does not come from an image."""
    return None if quality is None else quality_messages.quality_message(quality)


def _quality_messages(qualities: Sequence[Quality | None]) -> list[encoder_pb2.Quality]:
    """The qualities of several photos; an empty one for a face that does not come from an image."""
    return [quality_message(quality) or encoder_pb2.Quality() for quality in qualities]


def _candidate_message(candidate: Candidate) -> pb.Candidate:
    return pb.Candidate(
        person_id=candidate.person_id,
        display_name=candidate.display_name,
        distance=if_scores(candidate.distance, None),
        face_id=if_scores(str(candidate.face_id), ""),
        labels=candidate.attributes.labels if candidate.attributes else None,
        metadata=metadata_struct(candidate.attributes) if candidate.attributes else None,
        probe_face_id=str(candidate.probe_face_id or ""),
    )


def _box_message(box: BoundingBox) -> encoder_pb2.BoundingBox:
    return encoder_pb2.BoundingBox(top=box.top, right=box.right, bottom=box.bottom, left=box.left)
