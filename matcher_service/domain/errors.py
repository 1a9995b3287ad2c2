"""What can go wrong in the matcher.

MatcherError
+-- EncodingInvalid       not 128 numbers from -1000 to 1000, or of no space
+-- IdInvalid             an id outside its rules
+-- OptionInvalid         an option outside its range
+-- ImageRefused          what the encoder says of a picture; carries the encoder's reason
+-- FaceNotFound          no face where one is meant
+-- FaceAmbiguous         several faces where one is meant
+-- ModelMismatch         a vector of another space than the collection's
+-- PersonNotFound
+-- CollectionNotFound
+-- ErasureNotFound
+-- CalibrationNotFound
+-- StoredFaceNotFound    no face of the id that is to be read or changed
+-- CalibrationUnsupported  too few persons for the error rate asked for
+-- RequestIdReused       one request id, two contents
+-- CollectionExists
+-- FaceDuplicate         a face of somebody else, and the collection refuses those
+-- FaceQuality           a face too poor to enroll
+-- PersonFull            more faces than a person may have
+-- ScoresWithheld        a distance, asked of someone who may not see any
+-- EncodingsNotPermitted a vector, sent by someone who may send images alone
+-- TriesExhausted        too many failed tries; retry when one is regained
+-- Overloaded            no capacity now; retry
+-- EncoderUnavailable    images cannot be encoded now; encodings still work
+-- StoreUnavailable      the database cannot be used now; retry
    +-- SchemaChanged     it was made anew under a call that changed nothing; retry
"""

from facerec.errors import FacerecError, Reason


class MatcherError(FacerecError):
    """A failure of the matcher that a caller can act on."""


class EncodingInvalid(MatcherError):
    """Not 128 numbers from -1000 to 1000, or of no space."""

    reason = Reason.ENCODING_INVALID


class IdInvalid(MatcherError):
    """An id outside its rules."""

    reason = Reason.ID_INVALID


class OptionInvalid(MatcherError):
    """An option outside its range."""

    reason = Reason.OPTION_INVALID


class ImageRefused(MatcherError):
    """A picture that is empty or that the encoder refused, for the reason it gave."""

    reason = Reason.IMAGE_INVALID


class FaceNotFound(MatcherError):
    """No face where one is meant."""

    reason = Reason.FACE_NOT_FOUND


class FaceAmbiguous(MatcherError):
    """Several faces where one is meant."""

    reason = Reason.FACE_AMBIGUOUS


class ModelMismatch(MatcherError):
    """A vector of another space than the collection's."""

    reason = Reason.MODEL_MISMATCH


class PersonNotFound(MatcherError):
    """Nobody of that id."""

    reason = Reason.PERSON_NOT_FOUND


class CollectionNotFound(MatcherError):
    """No collection of that id."""

    reason = Reason.COLLECTION_NOT_FOUND

    def __init__(self) -> None:
        super().__init__(
            "there is no such collection: create it, or use `default`, which always exists",
            field="collection_id",
        )


class CalibrationUnsupported(MatcherError):
    """Too few persons for the error rate asked for; `metadata` tells how many pairs it takes."""

    reason = Reason.CALIBRATION_UNSUPPORTED


class StoredFaceNotFound(MatcherError):
    """No face of that id in the collection."""

    reason = Reason.STORED_FACE_NOT_FOUND


class CalibrationNotFound(MatcherError):
    """No calibration of that id."""

    reason = Reason.CALIBRATION_NOT_FOUND


class ErasureNotFound(MatcherError):
    """No erasure of that id."""

    reason = Reason.ERASURE_NOT_FOUND


class RequestIdReused(MatcherError):
    """One request id, two contents."""

    reason = Reason.REQUEST_ID_REUSED


class CollectionExists(MatcherError):
    """A collection of that id is there."""

    reason = Reason.COLLECTION_EXISTS


class FaceDuplicate(MatcherError):
    """A face as near to another person as a duplicate; `metadata` names that person."""

    reason = Reason.FACE_DUPLICATE


class FaceQuality(MatcherError):
    """A face too poor to enroll."""

    reason = Reason.FACE_QUALITY


class PersonFull(MatcherError):
    """More faces than a person may have, which is `max_faces`; `field` names the person."""

    reason = Reason.PERSON_FULL

    def __init__(self, max_faces: int, *, field: str) -> None:
        super().__init__(
            f"a person may have {max_faces} faces at most (max_faces_per_person): delete some of this "
            "person's faces, or send fewer",
            field=field,
        )


class Overloaded(MatcherError):
    """No capacity now."""

    reason = Reason.OVERLOADED


class EncoderUnavailable(MatcherError):
    """Images cannot be encoded now."""

    reason = Reason.ENCODER_UNAVAILABLE


class StoreUnavailable(MatcherError):
    """The database cannot be used now."""

    reason = Reason.STORE_UNAVAILABLE


class SchemaChanged(StoreUnavailable):
    """The schema was made anew under a call, which has changed nothing and may be tried again."""

    def __init__(self) -> None:
        super().__init__(
            "the database's schema changed during the call; retry later", retry_after_seconds=0.1
        )


class CollectionRecreated(SchemaChanged):
    """The collection was erased and one of its id created under a call; connections need no replacement."""


class ScoresWithheld(MatcherError):
    """A caller who may not see distances asks by one."""

    reason = Reason.NOT_PERMITTED


class EncodingsNotPermitted(MatcherError):
    """A caller who may send images alone sends a vector."""

    reason = Reason.NOT_PERMITTED


class TriesExhausted(MatcherError):
    """The caller has failed as often as it may, against one person or with enrollments."""

    reason = Reason.RATE_LIMITED
