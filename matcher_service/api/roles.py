"""The role that each method of the matcher requires, and the number of probes in its requests."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from facerec.serving.auth.permissions import ANY_ROLE, Role

MATCHER_ROLES = {
    "Enroll": Role.ENROLL,
    "Verify": Role.VERIFY,
    "Identify": Role.IDENTIFY,
    "Compare": Role.VERIFY,
    "GetPerson": Role.MANAGE,
    "BatchGetPersons": Role.MANAGE,
    "ListPersons": Role.MANAGE,
    "UpdatePerson": Role.MANAGE,
    "RenamePerson": Role.MANAGE,
    "MoveFaces": Role.MANAGE,
    "MergePersons": Role.MANAGE,
    "ExportPerson": Role.MANAGE,  # the role admin gets the encodings too
    "DeletePerson": Role.MANAGE,
    "BatchDeletePersons": Role.MANAGE,
    "ListFaces": Role.MANAGE,
    "GetFace": Role.MANAGE,
    "UpdateFace": Role.MANAGE,
    "DeleteFace": Role.MANAGE,
    "GetErasure": Role.MANAGE,
    "ImportFaces": Role.ENROLL,
    "GetImport": Role.ENROLL,
    "ExportFaces": Role.ADMIN,
}

COLLECTION_ROLES = {
    "CreateCollection": Role.ADMIN,
    "GetCollection": Role.MANAGE,
    "ListCollections": Role.MANAGE,
    "UpdateCollection": Role.MANAGE,
    "DeleteCollection": Role.ADMIN,
    "Calibrate": Role.MANAGE,
    "ApplyCalibration": Role.MANAGE,
    "MeasureRecall": Role.MANAGE,
    "ListDuplicates": Role.MANAGE,
    "ListInconsistentFaces": Role.MANAGE,
    "DismissDuplicate": Role.MANAGE,
    "ListAuditEvents": Role.ADMIN,
    "GetCaller": ANY_ROLE,
}

MATCHER_LARGE: Final = frozenset({"Enroll", "Verify", "Identify", "Compare", "ImportFaces"})
"""The methods whose requests carry images or faces in bulk."""

# Any other request counts as one probe, and so does each chunk of an import.
MATCHER_PROBES: Final[Mapping[str, Callable[[Any], int]]] = {
    "Compare": lambda request: 2,
    "Verify": lambda request: max(1, len(request.probes)),
    "Identify": lambda request: len(request.probes),  # with all_faces the matcher counts the faces found
    "Enroll": lambda request: len(request.items),
}
