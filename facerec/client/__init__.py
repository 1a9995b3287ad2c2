"""Clients of both services, blocking and for asyncio.

`EncoderClient` makes encodings of images, `MatcherClient` enrolls and recognizes persons, and
`CollectionClient` manages the matcher's collections. `AsyncEncoderClient`, `AsyncMatcherClient` and
`AsyncCollectionClient` have the same methods, to be awaited. Methods whose names begin with `list_` iterate
over all pages. Answers are frozen dataclasses with the field names of the contract, and vectors numpy arrays.

Every method raises `facerec.errors.FacerecError` with a reason, and RuntimeError once its client is closed. A
call has a deadline, `timeout_seconds`, 30 by default. UNAVAILABLE is retried by gRPC itself, within about a
second, for the RPCs that are safe to retry. OVERLOADED and RATE_LIMITED are not: `retry_after_seconds` says
when to try again.

Where the services ask for keys, what a call may do depends on the key: on its roles, on `scores` (distances
are answered) and on `encodings` (vectors may be sent); docs/security.md lists them.

Example:
    >>> with EncoderClient("127.0.0.1:50051") as encoder, MatcherClient("127.0.0.1:50052") as matcher:
    ...     face = encoder.encode(Path("ann.jpg").read_bytes()).faces[0]
    ...     enrollment = matcher.enroll("ann", face.encoding)
    ...     answer = matcher.verify("ann", Path("door.jpg").read_bytes())
    >>> answer.match
    True
"""

from facerec.client.channel import channel_options, target
from facerec.client.collections import AsyncCollectionClient, CollectionClient
from facerec.client.encoder import AsyncEncoderClient, EncoderClient
from facerec.client.matcher import AsyncMatcherClient, MatcherClient
from facerec.client.probes import NewFace, Probe, StoredPerson
from facerec.client.results.audit import AuditEvent
from facerec.client.results.calibrations import (
    AppliedCalibration,
    Calibration,
    ClaimRates,
    LikelyDuplicate,
    OperatingPoint,
)
from facerec.client.results.callers import Caller
from facerec.client.results.collection_settings import QUALITY_REASONS, CollectionSettings
from facerec.client.results.collections import Collection, CollectionErasure, SearchIndex
from facerec.client.results.decisions import (
    Candidate,
    Comparison,
    Identification,
    IdentifiedFace,
    Verification,
)
from facerec.client.results.encodings import Encoding
from facerec.client.results.enrollments import Duplicate, EnrolledFace, Enrollment, Inconsistency
from facerec.client.results.faces import (
    BoundingBox,
    DetectedFace,
    DetectedImage,
    EncodedFace,
    EncodedImage,
)
from facerec.client.results.group_rates import GroupPairRates, GroupRates
from facerec.client.results.models import Limits, Model
from facerec.client.results.person_exports import ExportedFace, PersonExport
from facerec.client.results.persons import Erasure, Merge, Move, Person, StoredFace
from facerec.client.results.rates import Rate
from facerec.client.results.reviews import DuplicatePair, InconsistentFace, Proportion, Recall
from facerec.client.results.search_rates import SearchRates
from facerec.client.results.transfer import FaceBatch, ImportReport, RefusedRow
from facerec.client.security import Security
from facerec.quality import Quality

__all__ = [
    "QUALITY_REASONS",
    "AppliedCalibration",
    "AsyncCollectionClient",
    "AsyncEncoderClient",
    "AsyncMatcherClient",
    "AuditEvent",
    "BoundingBox",
    "Calibration",
    "Caller",
    "Candidate",
    "ClaimRates",
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
    "GroupPairRates",
    "GroupRates",
    "Identification",
    "IdentifiedFace",
    "ImportReport",
    "Inconsistency",
    "InconsistentFace",
    "LikelyDuplicate",
    "Limits",
    "MatcherClient",
    "Merge",
    "Model",
    "Move",
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
    "SearchRates",
    "Security",
    "StoredFace",
    "StoredPerson",
    "Verification",
    "channel_options",
    "target",
]
