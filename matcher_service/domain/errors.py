"""The matcher's errors.

MatcherError
+-- EncodingInvalid       not 128 numbers from -1000 to 1000, or of no space
+-- IdInvalid             an id outside its rules
+-- OptionInvalid         an option outside its range
+-- ImageRefused          an image that the encoder refused; has the encoder's reason
+-- FaceNotFound          no face to compare: in the image, of the probe's id, or of the person
+-- FaceAmbiguous         several faces where one is required
+-- ModelMismatch         a vector of another space than the collection's
+-- PersonNotFound
+-- PersonSuspended       a claim to be a person who is suspended
+-- CollectionNotFound
+-- ErasureNotFound
+-- CalibrationNotFound
+-- StoredFaceNotFound    no face with the id to read or change
+-- CalibrationUnsupported  too few persons for the error rate asked for
+-- RequestIdReused       a request id used again with other content
+-- CollectionExists
    +-- PersonExists
    +-- CollectionNotEmpty    a collection with people, to be erased without force
+-- FaceDuplicate         a duplicate of another person's face, which the collection refuses
+-- FaceInconsistent      a face nearer to another person's than to its own, which the collection refuses
+-- FaceQuality           a face whose quality is too low to enroll
+-- PersonFull            more faces than a person may have
+-- ScoresWithheld        a request that requires the right to see distances
+-- EncodingsNotPermitted an encoding from a caller who may send only images
+-- TriesExhausted        too many failed tries; retry later
+-- Overloaded            no capacity now; retry
+-- EncoderUnavailable    images cannot be encoded now; encodings still work
+-- StoreUnavailable      the database cannot be used now; retry
    +-- SchemaChanged     the schema was recreated during a call that changed nothing; retry
        +-- CollectionRecreated  only the collection was
    +-- PrimaryChanged    the server accepts no writes any more; nothing was changed; retry
    +-- NotReplicated     a change that no standby has confirmed, as was promised; send the request again
    +-- ReadInterrupted   a standby failed during a call that only reads; retry on another server
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
    """An image that is empty, or that the encoder refused for the reason given."""

    reason = Reason.IMAGE_INVALID


class FaceNotFound(MatcherError):
    """No face to compare or enroll: in the image, of the id that a probe names, or of the person."""

    reason = Reason.FACE_NOT_FOUND


class FaceAmbiguous(MatcherError):
    """Several faces where one is required."""

    reason = Reason.FACE_AMBIGUOUS


class ModelMismatch(MatcherError):
    """A vector of another space than the collection's."""

    reason = Reason.MODEL_MISMATCH


class PersonNotFound(MatcherError):
    """No person with that id."""

    reason = Reason.PERSON_NOT_FOUND


class PersonSuspended(MatcherError):
    """A claim to be a person who is suspended."""

    reason = Reason.PERSON_SUSPENDED


class CollectionNotFound(MatcherError):
    """No collection with that id."""

    reason = Reason.COLLECTION_NOT_FOUND

    def __init__(self) -> None:
        super().__init__(
            "there is no such collection: create it, or use `default`, which always exists",
            field="collection_id",
        )


class CalibrationUnsupported(MatcherError):
    """Too few persons for the error rate asked for; `metadata` has the number of pairs that it requires.

    Or no groups to compare: nobody has the label, or it has too many values.
    """

    reason = Reason.CALIBRATION_UNSUPPORTED


class StoredFaceNotFound(MatcherError):
    """No face with that id in the collection, for a call that reads or changes it (a probe: FaceNotFound)."""

    reason = Reason.STORED_FACE_NOT_FOUND


class CalibrationNotFound(MatcherError):
    """No calibration with that id."""

    reason = Reason.CALIBRATION_NOT_FOUND


class ErasureNotFound(MatcherError):
    """No erasure with that id."""

    reason = Reason.ERASURE_NOT_FOUND


class RequestIdReused(MatcherError):
    """A request id used again with other content."""

    reason = Reason.REQUEST_ID_REUSED


class CollectionExists(MatcherError):
    """A collection with that id exists."""

    reason = Reason.COLLECTION_EXISTS


class PersonExists(MatcherError):
    """A person of that id exists."""

    reason = Reason.PERSON_EXISTS


class CollectionNotEmpty(MatcherError):
    """A collection that has people is to be erased without `force`."""

    reason = Reason.COLLECTION_NOT_EMPTY


class FaceDuplicate(MatcherError):
    """A face within the duplicate threshold of another person; `metadata` names that person."""

    reason = Reason.FACE_DUPLICATE


class FaceInconsistent(MatcherError):
    """A face that is nearer to another person's than to its own person's; `metadata` names that person."""

    reason = Reason.FACE_INCONSISTENT


class FaceQuality(MatcherError):
    """A face whose quality is too low to enroll."""

    reason = Reason.FACE_QUALITY


class PersonFull(MatcherError):
    """A person would have more than `max_faces` faces; `field` names the person."""

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
    """The schema was recreated during a call, which has changed nothing and may be retried."""

    def __init__(self) -> None:
        super().__init__(
            "the database's schema changed during the call; retry later", retry_after_seconds=0.1
        )


class CollectionRecreated(SchemaChanged):
    """The collection was erased and recreated during a call; connections need not be replaced."""


class PrimaryChanged(StoreUnavailable):
    """The server of a connection accepts no writes, as after a failover; nothing was changed."""

    def __init__(self) -> None:
        super().__init__(
            "the database's primary changed during the call; retry later", retry_after_seconds=0.1
        )


class NotReplicated(StoreUnavailable):
    """The change is stored on the primary, and not confirmed by the standbys that are to have it."""

    def __init__(self) -> None:
        super().__init__(
            "the database stored the change and no standby has confirmed it in time: send the request again",
            retry_after_seconds=1.0,
        )


class ReadInterrupted(StoreUnavailable):
    """A standby failed during statements that only read, which may be run again on another server."""

    def __init__(self) -> None:
        super().__init__(
            "a standby of the database failed during the call; retry later", retry_after_seconds=0.1
        )


class ScoresWithheld(MatcherError):
    """A request by a caller who may not see distances that would reveal one."""

    reason = Reason.NOT_PERMITTED


class EncodingsNotPermitted(MatcherError):
    """An encoding from a caller who may send only images."""

    reason = Reason.NOT_PERMITTED


class TriesExhausted(MatcherError):
    """The caller has used up its failed tries, against one person or for enrollments."""

    reason = Reason.RATE_LIMITED
