"""The settings of a collection."""

import dataclasses
import datetime
from typing import Any, Self

from google.protobuf.duration_pb2 import Duration

from facerec.client.results.score_rules import score_rule_name, score_rule_number
from facerec.encoder import v1 as encoder
from facerec.errors import FacerecError, Reason
from facerec.matcher import v1
from facerec.quality import QualityReason

POLICIES = ("allow", "flag", "refuse")
QUALITY_REASONS = tuple(reason.value for reason in QualityReason)
"""Why a face may be poor, of `Quality.reasons`; an enrollment may be refused for any of them."""


@dataclasses.dataclass(frozen=True)
class CollectionSettings:
    """The settings of a collection. In a request None leaves a setting as it is.

    Distances are Euclidean, and a threshold is the largest that still counts. The four that bound distances
    are changed only by a key with `scores`. Defaults are those of a new collection.

    Attributes:
        display_name: A display text, up to 256 characters. Default: "".
        verify_threshold: Decides `verify` and `compare` without `max_distance`, 0 to 4. Default: 0.6.
        identify_threshold: Decides `identify` without `max_distance`, 0 to 4. Default: 0.5.
        duplicate_policy: What `enroll` does with a face within `duplicate_threshold` of another person's:
            `allow` does not check, `flag` enrolls it and names the other person in the answer, `refuse`
            enrolls nothing and raises FACE_DUPLICATE. Default: `flag`.
        duplicate_threshold: The largest distance of a duplicate, 0 to 4. Default: 0.5.
        consistency_policy: What `enroll` does with a face within `duplicate_threshold` of another person's
            that is nearer than each of its own person's: `allow` does not compare, `flag` enrolls it and
            names the other person in the answer (only where duplicates are flagged or refused), `refuse`
            enrolls nothing and raises FACE_INCONSISTENT. Default: `flag`.
        min_face_pixels: The smallest shorter side of the box of a face to enroll, in pixels of the upright
            image, 0 to 65535. Default: 0, any.
        exact_only: Whether `identify` never uses an index. Default: False.
        index_above_faces: From how many faces on maintenance builds an index, 1,000 to 1,000,000,000.
            Default: 20,000.
        acceptance_threshold: The index acceptance threshold: a nearest candidate of the index within it is
            accepted without an exact scan, 0 to 4. Default: 0.45.
        target_recall: The share of searches whose nearest person the index has to find, 0.5 to 1. Default:
            0.998.
        retention: How long a face is kept after its enrollment, a timedelta of whole seconds up to 100 years;
            0 is for ever. Default: 0.
        refused_qualities: Which of QUALITY_REASONS refuse a face to enroll; an empty tuple refuses none.
            Default: BLURRED, TOO_DARK, TOO_BRIGHT, LOW_CONTRAST.
        score_rule: How `verify` scores a claim against a person's faces: `nearest` (the nearest decides) or
            `root_mean_square` (of the distances to all). A request that sets it must set `verify_threshold`
            too, which has other error rates by another rule. Default: `nearest`.

    Example:
        >>> settings = CollectionSettings(verify_threshold=0.55, retention=datetime.timedelta(days=365))
        >>> collections.update_collection(settings).settings.verify_threshold
        0.55
    """

    display_name: str | None = None
    verify_threshold: float | None = None
    identify_threshold: float | None = None
    duplicate_policy: str | None = None
    duplicate_threshold: float | None = None
    consistency_policy: str | None = None
    min_face_pixels: int | None = None
    exact_only: bool | None = None
    index_above_faces: int | None = None
    acceptance_threshold: float | None = None
    target_recall: float | None = None
    retention: datetime.timedelta | None = None
    refused_qualities: tuple[str, ...] | None = None
    score_rule: str | None = None

    @classmethod
    def from_message(cls, message: v1.CollectionSettings) -> Self:
        """Read the contract's message of a collection, in which all are set."""
        return cls(
            display_name=message.display_name,
            verify_threshold=message.verify_threshold,
            identify_threshold=message.identify_threshold,
            duplicate_policy=v1.DuplicatePolicy.Name(message.duplicate_policy)
            .removeprefix("DUPLICATE_POLICY_")
            .lower(),
            duplicate_threshold=message.duplicate_threshold,
            consistency_policy=v1.ConsistencyPolicy.Name(message.consistency_policy)
            .removeprefix("CONSISTENCY_POLICY_")
            .lower(),
            min_face_pixels=message.quality.min_face_pixels,
            exact_only=message.search.exact_only,
            index_above_faces=message.search.index_above_faces,
            acceptance_threshold=message.search.acceptance_threshold,
            target_recall=message.search.target_recall,
            retention=message.retention.ToTimedelta(),
            refused_qualities=tuple(
                encoder.QualityReason.Name(reason).removeprefix("QUALITY_REASON_")
                for reason in message.quality.refused.reasons
            ),
            score_rule=score_rule_name(message.score_rule),
        )

    def to_message(self) -> v1.CollectionSettings:
        """Write the contract's message. Raises FacerecError OPTION_INVALID for values that do not fit."""
        return v1.CollectionSettings(
            display_name=self.display_name,
            verify_threshold=self.verify_threshold,
            identify_threshold=self.identify_threshold,
            duplicate_policy=_policy(v1.DuplicatePolicy, self.duplicate_policy, "duplicate_policy"),
            duplicate_threshold=self.duplicate_threshold,
            consistency_policy=_policy(v1.ConsistencyPolicy, self.consistency_policy, "consistency_policy"),
            quality=v1.QualityPolicy(
                min_face_pixels=_whole(self.min_face_pixels, "settings.quality.min_face_pixels", 32),
                refused=_refused(self.refused_qualities),
            ),
            search=v1.SearchPolicy(
                exact_only=self.exact_only,
                index_above_faces=_whole(self.index_above_faces, "settings.search.index_above_faces", 64),
                acceptance_threshold=self.acceptance_threshold,
                target_recall=self.target_recall,
            ),
            retention=_duration(self.retention),
            score_rule=score_rule_number(self.score_rule, "settings.score_rule"),
        )


def _policy(policies: Any, name: str | None, setting: str) -> Any:
    """A value of an enum of policies, 0 for None."""
    if name is not None and name not in POLICIES:
        raise FacerecError(
            f"{setting} is one of {', '.join(POLICIES)}",
            reason=Reason.OPTION_INVALID,
            field=f"settings.{setting}",
        )
    return policies.Value(f"{setting.upper()}_{(name or 'unspecified').upper()}")


def _refused(names: tuple[str, ...] | None) -> v1.RefusedQualities | None:
    if names is None:
        return None
    for name in names:
        if name not in QUALITY_REASONS:
            raise FacerecError(
                f"{name}: must be one of {', '.join(QUALITY_REASONS)}",
                reason=Reason.OPTION_INVALID,
                field="settings.quality.refused.reasons",
            )
    return v1.RefusedQualities(
        reasons=[encoder.QualityReason.Value(f"QUALITY_REASON_{name}") for name in names]
    )


def _whole(number: int | None, field: str, bits: int) -> int | None:
    """Check that a number fits its field; the service checks the setting's range."""
    if number is not None and not 0 <= number < 2**bits:
        raise FacerecError(
            f"{field.rpartition('.')[2]} is out of range", reason=Reason.OPTION_INVALID, field=field
        )
    return number


def _duration(length: datetime.timedelta | None) -> Duration | None:
    if length is None:
        return None
    message = Duration()
    message.FromTimedelta(length)
    return message
