"""Every field of every answer of the matcher, by what it discloses of a distance to a caller without scores.

docs/security.md has the same table in words; tests/e2e/access/test_scores.py holds the services to it.
"""

import enum
from collections.abc import Iterator
from typing import Any

from facerec.matcher.v1 import matcher_pb2


class Disclosure(enum.Enum):
    """What a field discloses of a distance."""

    NOTHING = "nothing"  # it follows from no distance
    MATCH = "match"  # it follows from who is within the threshold in force
    PUBLIC = "public"  # a setting or a share over a whole collection, about no face
    WITHHELD = "withheld"  # it is unset, empty or 0 without scores
    REFUSED = "refused"  # the whole call is refused without scores, or it is for the role admin alone


_NOTHING = """
EnrollResponse: person faces person_created
Person: person_id display_name face_count create_time update_time labels metadata suspended
EnrolledFace: face already_enrolled quality
Face: face_id person_id external_ref space fingerprint create_time expire_time quality
VerifyResponse: faces_compared space quality photos qualities
Quality: face_pixels sharpness brightness contrast pose outside reasons noise flatness unevenness
Pose: roll_degrees yaw pitch
BoundingBox: top right bottom left
IdentifyResponse: faces space
IdentifiedFace: probe_index bounding_box image_width image_height quality photos qualities
CompareResponse: space quality_a quality_b
GetPersonResponse: person
ListPersonsResponse: persons next_page_token
UpdatePersonResponse: person person_created
ExportPersonResponse: person faces events
ExportedFace: face
AuditEvent: event_id event_time action caller person_tag persons faces details
MergePersonsResponse: person faces_moved moved_face_ids
BatchGetPersonsResponse: persons
RenamePersonResponse: person
MoveFacesResponse: person person_created faces_moved copies_deleted
BatchDeletePersonsResponse: persons_deleted faces_deleted delete_time erasure_id
DeletePersonResponse: persons_deleted faces_deleted delete_time erasure_id
ListFacesResponse: faces next_page_token
GetFaceResponse: face
UpdateFaceResponse: face
DeleteFaceResponse: faces_deleted delete_time erasure_id
GetErasureResponse: state persons_deleted faces_deleted delete_time vacuum_time scrub_time
ImportFacesResponse: faces_added faces_already_there rows_refused persons_added refused next_row
RefusedRow: row field message
GetImportResponse: next_row faces_added faces_already_there rows_refused persons_added
CreateCollectionResponse: collection
GetCollectionResponse: collection
UpdateCollectionResponse: collection
ListCollectionsResponse: collections next_page_token
DeleteCollectionResponse: collections_deleted persons_deleted faces_deleted delete_time
Collection: collection_id space settings estimated_faces index create_time update_time
Collection: estimated_persons faces_exact persons_exact
CollectionSettings: display_name duplicate_policy consistency_policy quality search retention
QualityPolicy: min_face_pixels refused
RefusedQualities: reasons
SearchPolicy: exact_only index_above_faces target_recall
SearchIndex: ready persons faces build_time build_phase build_done recall_time
DismissDuplicateResponse: changed
GetCallerResponse: caller
Caller: keys_required name roles collection_ids labels scores encodings expire_time
Caller: probes_per_second failed_tries_per_day
"""
_MATCH = """
VerifyResponse: match labels metadata
CompareResponse: match
IdentifiedFace: candidates matched_persons
Candidate: person_id display_name labels metadata
EnrolledFace: duplicate inconsistency
Duplicate: person_id
Inconsistency: person_id
"""
_PUBLIC = """
VerifyResponse: threshold score_rule
CompareResponse: threshold
IdentifyResponse: threshold expected_false_positives expected_false_positives_high
Collection: calibration_id
CollectionSettings: verify_threshold identify_threshold duplicate_threshold score_rule
SearchPolicy: acceptance_threshold
"""
_WITHHELD = """
VerifyResponse: distance nearest_face_id
CompareResponse: distance face_id_a face_id_b
IdentifiedFace: mode exact faces_searched
Candidate: distance face_id probe_face_id
EnrolledFace: duplicate_check
Duplicate: distance face_id
Inconsistency: distance own_distance face_id own_face_id
SearchIndex: recall recall_low far_recall far_recall_low
"""
_REFUSED = """
CalibrateResponse: calibration
Calibration: calibration_id create_time faces genuine_persons genuine_pairs impostor_persons impostor_pairs
Calibration: target_fmr target_false_positives verify identify curve genuine_counts impostor_counts
Calibration: likely_duplicates identify_needs groups between_groups one_threshold_serves searches
Calibration: omitted_groups scores score_rule
GroupRates: value persons impostor_persons impostor_pairs genuine_persons genuine_pairs fmr fnmr
GroupRates: exceeds_target own_threshold own_fnmr needs needed_persons
GroupPairRates: value_a value_b fmr fmr_differs fnmr_differs
SearchRates: target_fpir threshold fpir fnir needs
ClaimRates: score_rule photos point persons
OperatingPoint: threshold fmr fnmr expected_false_positives
Rate: value low high
LikelyDuplicate: person_id_a person_id_b distance
ApplyCalibrationResponse: old_verify_threshold verify_threshold old_identify_threshold identify_threshold
ApplyCalibrationResponse: score_rule
ListDuplicatesResponse: pairs persons_examined exact next_page_token
DuplicatePair: person_id_a person_id_b face_id_a face_id_b distance dismissed
ListInconsistentFacesResponse: faces faces_examined exact next_page_token
InconsistentFace: face_id person_id own_face_id own_distance other_person_id other_face_id other_distance
InconsistentFace: suggestion
MeasureRecallResponse: indexed samples recall agreement confirmed far_recall
Proportion: count value low high
ExportFacesResponse: space chunk
FaceChunk: encodings person_ids display_names external_refs expire_times fingerprints attributes
Attributes: labels metadata suspended
ListAuditEventsResponse: events next_page_token
GetStatusResponse: server_version uptime serving calls_in_flight database encoder queues standbys maintenance
DatabaseStatus: ready problem check_time schema_version release_schema_version
EncoderStatus: reachable problem server_version space execution_provider
Queue: kind limit in_use waiting
StandbyStatus: number state streaming lag_bytes staleness_seconds reads_in_flight
MaintenanceStatus: read_time steps unvacuumed_erasures oldest_erasure_time unscrubbed_erasures
MaintenanceStep: step success_time failures collections_waiting
AuditEvent: outcome
ExportedFace: encoding
Encoding: values space fingerprint
"""
METADATA = {
    ("FACE_DUPLICATE", "person_id"): Disclosure.MATCH,
    ("FACE_INCONSISTENT", "person_id"): Disclosure.MATCH,
}
"""What an error's ErrorInfo discloses that depends on distances, by reason and key."""


def _read(text: str, disclosure: Disclosure) -> Iterator[tuple[str, Disclosure]]:
    for line in text.strip().splitlines():
        message, _, fields = line.partition(": ")
        for field in fields.split():
            yield f"{message}.{field}", disclosure


_ROWS = [
    *_read(_NOTHING, Disclosure.NOTHING),
    *_read(_MATCH, Disclosure.MATCH),
    *_read(_PUBLIC, Disclosure.PUBLIC),
    *_read(_WITHHELD, Disclosure.WITHHELD),
    *_read(_REFUSED, Disclosure.REFUSED),
]
FIELDS = dict(_ROWS)
"""By `Message.field`."""


def twice() -> list[str]:
    """Fields that the table has more than once."""
    names = [name for name, _ in _ROWS]
    return sorted({name for name in names if names.count(name) > 1})


def answered() -> set[str]:
    """Every field that an answer of the two services can hold, as `Message.field`."""
    found: dict[str, None] = {}

    def walk(message: Any) -> None:
        if not message.full_name.startswith("facerec."):
            return
        for field in message.fields:
            name = f"{message.name}.{field.name}"
            if name not in found:
                found[name] = None
                if field.message_type is not None and not field.message_type.GetOptions().map_entry:
                    walk(field.message_type)

    for service in matcher_pb2.DESCRIPTOR.services_by_name.values():
        for method in service.methods:
            walk(method.output_type)
    return set(found)
