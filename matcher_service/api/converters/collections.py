"""Convert a collection's messages to the domain's dataclasses, checked, and back."""

import datetime
from collections.abc import Mapping

from google.protobuf.duration_pb2 import Duration

from facerec.contract import MAX_FACE_PIXELS
from facerec.encoder.v1 import encoder_pb2
from facerec.matcher.v1 import matcher_pb2 as pb
from facerec.matcher.v1 import score_rule_pb2
from matcher_service.api.converters.answers import SCORE_RULES, if_scores
from matcher_service.domain import ids
from matcher_service.domain.collection import Collection, CollectionErasure, CollectionSettings, SearchIndex
from matcher_service.domain.errors import OptionInvalid
from matcher_service.domain.faces import ScoreRule

POLICIES = {
    "allow": pb.DUPLICATE_POLICY_ALLOW,
    "flag": pb.DUPLICATE_POLICY_FLAG,
    "refuse": pb.DUPLICATE_POLICY_REFUSE,
}
CONSISTENCY_POLICIES = {
    "allow": pb.CONSISTENCY_POLICY_ALLOW,
    "flag": pb.CONSISTENCY_POLICY_FLAG,
    "refuse": pb.CONSISTENCY_POLICY_REFUSE,
}
_RULE_NAMES = {number: name for name, number in SCORE_RULES.items()}
_POLICY_NAMES = {number: name for name, number in POLICIES.items()}
_REASONS = {
    name.removeprefix("QUALITY_REASON_"): number
    for name, number in encoder_pb2.QualityReason.items()
    if number != encoder_pb2.QUALITY_REASON_UNSPECIFIED
}
_REASON_NAMES = {number: name for name, number in _REASONS.items()}
MAX_RETENTION_SECONDS = 100 * 366 * 24 * 3600
INDEX_ABOVE_FACES = (1000, 1_000_000_000)


def settings(message: pb.CollectionSettings) -> CollectionSettings:
    """Read the settings that are set; the others are None. Raises OptionInvalid."""
    quality, search = message.quality, message.search
    rule = score_rule(message.score_rule, "settings.score_rule")
    if rule is not None and not message.HasField("verify_threshold"):
        raise OptionInvalid(
            "by another score_rule the threshold has other error rates: set verify_threshold too, or apply a "
            "calibration of that rule",
            field="settings.score_rule",
        )
    name = ids.free_text(message.display_name, "settings.display_name")
    pixels = ids.count(quality.min_face_pixels, "settings.quality.min_face_pixels", 0, MAX_FACE_PIXELS)
    return CollectionSettings(
        display_name=name if message.HasField("display_name") else None,
        verify_threshold=_number(message, "verify_threshold"),
        identify_threshold=_number(message, "identify_threshold"),
        duplicate_policy=_policy(message.duplicate_policy, POLICIES, "duplicate_policy"),
        duplicate_threshold=_number(message, "duplicate_threshold"),
        consistency_policy=_policy(message.consistency_policy, CONSISTENCY_POLICIES, "consistency_policy"),
        min_face_pixels=pixels if quality.HasField("min_face_pixels") else None,
        exact_only=search.exact_only if search.HasField("exact_only") else None,
        index_above_faces=_index_above_faces(search),
        acceptance_threshold=_number(search, "acceptance_threshold", path="settings.search"),
        target_recall=_number(search, "target_recall", path="settings.search", least=0.5, most=1),
        retention=_retention(message.retention) if message.HasField("retention") else None,
        refused_qualities=_reasons(quality.refused) if quality.HasField("refused") else None,
        score_rule=rule,
    )


def erasure_message(erasure: CollectionErasure) -> pb.DeleteCollectionResponse:
    """Build the receipt of a collection's erasure."""
    message = pb.DeleteCollectionResponse(
        collections_deleted=erasure.collections,
        persons_deleted=erasure.persons,
        faces_deleted=erasure.faces,
    )
    message.delete_time.FromDatetime(erasure.delete_time)
    return message


def collection_message(collection: Collection) -> pb.Collection:
    """Build a collection."""
    message = pb.Collection(
        collection_id=collection.collection_id,
        space=collection.space,
        settings=_settings_message(collection.settings),
        estimated_faces=collection.estimated_faces,
        index=_index_message(collection.index),
        calibration_id=str(collection.calibration_id or ""),
        estimated_persons=collection.estimated_persons,
        faces_exact=collection.faces_exact,
        persons_exact=collection.persons_exact,
    )
    message.create_time.FromDatetime(collection.create_time)
    message.update_time.FromDatetime(collection.update_time)
    return message


def _number(
    message: pb.CollectionSettings | pb.SearchPolicy,
    name: str,
    *,
    path: str = "settings",
    least: float = 0,
    most: float = ids.MAX_DISTANCE,
) -> float | None:
    if not message.HasField(name):  # type: ignore[arg-type]
        return None
    return ids.number(getattr(message, name), f"{path}.{name}", least, most)


def _reasons(message: pb.RefusedQualities) -> tuple[str, ...]:
    field = "settings.quality.refused.reasons"
    ids.count(len(message.reasons), field, 0, len(_REASON_NAMES))
    for number in message.reasons:
        if number not in _REASON_NAMES:
            raise OptionInvalid(f"reason {number} is unknown: send values of QualityReason", field=field)
    return tuple(dict.fromkeys(_REASON_NAMES[number] for number in message.reasons))


def _policy(number: int, policies: Mapping[str, int], name: str) -> str | None:
    """The policy of a number, None for 0. Raises OptionInvalid for one that the contract does not have."""
    if number == 0:
        return None
    for policy, value in policies.items():
        if value == number:
            return policy
    raise OptionInvalid(
        f"policy {number} is unknown: send a value of the field's enum", field=f"settings.{name}"
    )


def score_rule(number: score_rule_pb2.ScoreRule.ValueType, field: str) -> str | None:
    """Read a rule's name; None if it is unspecified. Raises OptionInvalid."""
    if number == score_rule_pb2.SCORE_RULE_UNSPECIFIED:
        return None
    if number not in _RULE_NAMES:
        raise OptionInvalid(f"rule {number} is unknown: send a value of ScoreRule", field=field)
    return _RULE_NAMES[number]


def _index_above_faces(search: pb.SearchPolicy) -> int | None:
    if not search.HasField("index_above_faces"):
        return None
    return ids.count(search.index_above_faces, "settings.search.index_above_faces", *INDEX_ABOVE_FACES)


def _retention(message: Duration) -> datetime.timedelta:
    if message.nanos or not 0 <= message.seconds <= MAX_RETENTION_SECONDS:
        raise OptionInvalid(
            "retention must be whole seconds, from 0 to 100 years", field="settings.retention"
        )
    return datetime.timedelta(seconds=message.seconds)


def _settings_message(settings: CollectionSettings) -> pb.CollectionSettings:
    message = pb.CollectionSettings(
        display_name=settings.display_name,
        verify_threshold=settings.verify_threshold,
        identify_threshold=settings.identify_threshold,
        duplicate_policy=POLICIES[settings.duplicate_policy or "flag"],
        duplicate_threshold=settings.duplicate_threshold,
        consistency_policy=CONSISTENCY_POLICIES[settings.consistency_policy or "flag"],
        quality=pb.QualityPolicy(
            min_face_pixels=settings.min_face_pixels,
            refused=pb.RefusedQualities(
                reasons=[_REASONS[reason] for reason in settings.refused_qualities or ()]
            ),
        ),
        search=pb.SearchPolicy(
            exact_only=settings.exact_only,
            index_above_faces=settings.index_above_faces,
            acceptance_threshold=settings.acceptance_threshold,
            target_recall=settings.target_recall,
        ),
        score_rule=SCORE_RULES[settings.score_rule or ScoreRule.NEAREST.value],
    )
    message.retention.FromTimedelta(settings.retention or datetime.timedelta(0))
    return message


def _index_message(index: SearchIndex) -> pb.SearchIndex:
    message = pb.SearchIndex(
        ready=index.ready,
        persons=index.persons,
        faces=index.faces,
        recall=if_scores(index.recall, None),
        build_phase=index.build_phase,
        build_done=index.build_done,
        recall_low=if_scores(index.recall_low, None),
        far_recall=if_scores(index.far_recall, None),
        far_recall_low=if_scores(index.far_recall_low, None),
    )
    if index.build_time is not None:
        message.build_time.FromDatetime(index.build_time)
    if index.recall_time is not None:
        message.recall_time.FromDatetime(index.recall_time)
    return message
