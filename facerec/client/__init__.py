"""Clients of both services, blocking and for asyncio; `CollectionClient` keeps the matcher's collections.

    with EncoderClient("127.0.0.1:50051") as encoder, MatcherClient("127.0.0.1:50052") as matcher:
        face = encoder.encode(Path("ann.jpg").read_bytes()).faces[0]
        matcher.enroll("ann", face.encoding)
        matcher.verify("ann", Path("door.jpg").read_bytes()).match

The asyncio forms have the same methods, awaited; `list_persons`, `list_faces` and
`list_collections` iterate over every page. Answers are frozen dataclasses with the field names of the
contract, vectors numpy arrays.

Every method raises `facerec.errors.FacerecError` with its reason. A call has a deadline
(`timeout_seconds`, 30 by default, of the client or of `with_options`). UNAVAILABLE is retried by gRPC
itself, for the RPCs that are safe to retry; OVERLOADED is not: `retry_after_seconds` says when to
try again.
"""

from facerec.client.audit import AuditEvent
from facerec.client.calibrations import AppliedCalibration, Calibration, OperatingPoint, Rate, Suspect
from facerec.client.channel import channel_options, target
from facerec.client.collections import AsyncCollectionClient, CollectionClient
from facerec.client.encoder import AsyncEncoderClient, EncoderClient
from facerec.client.faces import (
    BoundingBox,
    DetectedFace,
    DetectedImage,
    EncodedFace,
    EncodedImage,
    Encoding,
    Limits,
    Model,
    Quality,
)
from facerec.client.galleries import (
    QUALITY_REASONS,
    Collection,
    CollectionErasure,
    CollectionSettings,
    SearchIndex,
)
from facerec.client.matcher import AsyncMatcherClient, MatcherClient, NewFace
from facerec.client.people import (
    Candidate,
    Comparison,
    Duplicate,
    EnrolledFace,
    Enrollment,
    Erasure,
    Identification,
    IdentifiedFace,
    Merge,
    Person,
    StoredFace,
    Verification,
)
from facerec.client.person_exports import ExportedFace, PersonExport
from facerec.client.probes import Probe
from facerec.client.reviews import DuplicatePair, Proportion, Recall
from facerec.client.security import Security
from facerec.client.transfer import FaceBatch, ImportReport, RefusedRow

__all__ = [
    "QUALITY_REASONS",
    "AppliedCalibration",
    "AsyncCollectionClient",
    "AsyncEncoderClient",
    "AsyncMatcherClient",
    "AuditEvent",
    "BoundingBox",
    "Calibration",
    "Candidate",
    "Collection",
    "CollectionClient",
    "CollectionErasure",
    "CollectionSettings",
    "Comparison",
    "DetectedFace",
    "DetectedImage",
    "Duplicate",
    "DuplicatePair",
    "EncodedFace",
    "EncodedImage",
    "EncoderClient",
    "Encoding",
    "EnrolledFace",
    "Enrollment",
    "Erasure",
    "ExportedFace",
    "FaceBatch",
    "Identification",
    "IdentifiedFace",
    "ImportReport",
    "Limits",
    "MatcherClient",
    "Merge",
    "Model",
    "NewFace",
    "OperatingPoint",
    "Person",
    "PersonExport",
    "Probe",
    "Proportion",
    "Quality",
    "Rate",
    "Recall",
    "RefusedRow",
    "SearchIndex",
    "Security",
    "StoredFace",
    "Suspect",
    "Verification",
    "channel_options",
    "target",
]
