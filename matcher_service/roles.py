"""The role that each method of the matcher takes."""

from facerec.serving.access.grants import Role

MATCHER_ROLES = {
    "Enroll": Role.ENROLL,
    "Verify": Role.VERIFY,
    "Identify": Role.IDENTIFY,
    "Compare": Role.VERIFY,
    "GetPerson": Role.MANAGE,
    "ListPersons": Role.MANAGE,
    "UpdatePerson": Role.MANAGE,
    "MergePersons": Role.MANAGE,
    "DeletePerson": Role.MANAGE,
    "ListFaces": Role.MANAGE,
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
    "DismissDuplicate": Role.MANAGE,
    "ListAuditEvents": Role.ADMIN,
}
