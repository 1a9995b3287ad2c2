"""Helpers for requests about a matcher's collections."""

from typing import Any

from google.protobuf.duration_pb2 import Duration

from facerec.encoder.v1 import encoder_pb2
from facerec.matcher.v1 import matcher_pb2 as pb
from facerec.matcher.v1 import score_rule_pb2
from tests.fixtures.matcher import RunningMatcher

NEW = pb.CollectionSettings(
    display_name="",
    verify_threshold=0.6,
    identify_threshold=0.5,
    duplicate_policy=pb.DUPLICATE_POLICY_FLAG,
    duplicate_threshold=0.5,
    consistency_policy=pb.CONSISTENCY_POLICY_FLAG,
    quality=pb.QualityPolicy(
        min_face_pixels=0,
        refused=pb.RefusedQualities(
            reasons=[
                encoder_pb2.QUALITY_REASON_BLURRED,
                encoder_pb2.QUALITY_REASON_TOO_DARK,
                encoder_pb2.QUALITY_REASON_TOO_BRIGHT,
                encoder_pb2.QUALITY_REASON_LOW_CONTRAST,
            ]
        ),
    ),
    search=pb.SearchPolicy(
        exact_only=False, index_above_faces=20000, acceptance_threshold=0.45, target_recall=0.998
    ),
    retention=Duration(),
    score_rule=score_rule_pb2.SCORE_RULE_NEAREST,
)


async def create(matcher: RunningMatcher, collection_id: str, **fields: Any) -> pb.Collection:
    """Add a collection."""
    request = pb.CreateCollectionRequest(collection_id=collection_id, **fields)
    made: pb.Collection = (await matcher.collections.CreateCollection(request)).collection
    return made


async def delete(matcher: RunningMatcher, collection_id: str) -> tuple[int, int, int]:
    """Erase a collection; returns the numbers of collections, persons and faces erased."""
    request = pb.DeleteCollectionRequest(collection_id=collection_id, force=True)
    receipt = await matcher.collections.DeleteCollection(request)
    return receipt.collections_deleted, receipt.persons_deleted, receipt.faces_deleted


async def get(matcher: RunningMatcher, collection_id: str) -> pb.Collection:
    """Read a collection."""
    request = pb.GetCollectionRequest(collection_id=collection_id)
    found: pb.Collection = (await matcher.collections.GetCollection(request)).collection
    return found


def merged(before: pb.CollectionSettings, change: pb.CollectionSettings) -> pb.CollectionSettings:
    """Settings after a change."""
    after = pb.CollectionSettings()
    after.CopyFrom(before)
    after.MergeFrom(change)
    return after


async def change_settings(matcher: RunningMatcher, **settings: Any) -> None:
    """Change the settings of `default`."""
    request = pb.UpdateCollectionRequest(settings=pb.CollectionSettings(**settings))
    await matcher.collections.UpdateCollection(request)
