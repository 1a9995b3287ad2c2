"""The clients against a real matcher: settings, duplicates, merges and expiry as dataclasses."""

import asyncio
import dataclasses
import datetime

import pytest

from facerec.client import (
    QUALITY_REASONS,
    AsyncCollectionClient,
    AsyncMatcherClient,
    CollectionClient,
    CollectionSettings,
    Encoding,
    StoredFace,
)
from facerec.errors import FacerecError, Reason
from tests.e2e.matcher.requests import SPACE, vectors
from tests.fixtures.matcher import RunningMatcher

SETTINGS = CollectionSettings(
    display_name="Staff",
    verify_threshold=0.25,
    identify_threshold=0.125,
    duplicate_policy="refuse",
    duplicate_threshold=0.75,
    consistency_policy="refuse",
    min_face_pixels=80,
    exact_only=True,
    index_above_faces=5000,
    acceptance_threshold=0.375,
    target_recall=0.75,
    retention=datetime.timedelta(days=30),
    refused_qualities=QUALITY_REASONS,
    score_rule="root_mean_square",
)


async def test_both_clients_manage_a_collection(matcher: RunningMatcher) -> None:
    async with AsyncCollectionClient(matcher.address) as client:
        made = await client.create_collection("staff", SETTINGS)
        assert (made.collection_id, made.settings, made.space) == ("staff", SETTINGS, SPACE)
        assert (made.index.ready, made.index.recall, made.index.build_time) == (False, None, None)
        assert await client.get_collection("staff") == made
        changed = await client.update_collection(
            CollectionSettings(retention=datetime.timedelta(0)), collection_id="staff"
        )
        assert changed.settings == dataclasses.replace(SETTINGS, retention=datetime.timedelta(0))
        assert changed.update_time > made.update_time
        for name in ("a", "b"):
            await client.create_collection(name, space="another/space")
        listed = [collection async for collection in client.list_collections(page_size=1)]
        assert [collection.collection_id for collection in listed] == ["a", "b", "default", "staff"]
        assert listed[0].space == "another/space"
        with pytest.raises(FacerecError) as caught:
            await client.create_collection("staff")
        assert (caught.value.reason, caught.value.field) == (Reason.COLLECTION_EXISTS, "collection_id")
    with CollectionClient(matcher.address) as blocking:
        again = await asyncio.to_thread(list, blocking.list_collections(page_size=3))
        assert again == listed
        erased = await asyncio.to_thread(blocking.delete_collection, "staff", force=True)
        assert (erased.collections_deleted, erased.persons_deleted, erased.faces_deleted) == (1, 0, 0)
        assert (
            await asyncio.to_thread(blocking.delete_collection, "staff", force=True)
        ).collections_deleted == 0


async def test_a_duplicate_is_flagged_and_merged_and_then_refused(matcher: RunningMatcher) -> None:
    face, other = (Encoding(vector, SPACE) for vector in vectors(2))
    async with AsyncMatcherClient(matcher.address) as client:
        first = (await client.enroll("ann", face)).faces[0]
        assert (first.duplicate, first.duplicate_check) == (None, "exact")
        flagged = (await client.enroll("annie", face, other)).faces
        assert flagged[0].duplicate is not None
        assert dataclasses.astuple(flagged[0].duplicate) == ("ann", 0.0, first.face.face_id)
        assert flagged[1].duplicate is None
        merged = await client.merge_persons("annie", "ann")
        assert (merged.person.person_id, merged.person.face_count, merged.faces_moved) == ("ann", 2, 1)
        with pytest.raises(FacerecError) as gone:
            await client.merge_persons("annie", "ann")
        assert (gone.value.reason, gone.value.field) == (Reason.PERSON_NOT_FOUND, "source_person_id")
        async with AsyncCollectionClient(matcher.address) as collections:
            await collections.update_collection(CollectionSettings(duplicate_policy="refuse"))
        with pytest.raises(FacerecError) as refused:
            await client.enroll("ben", face)
        assert (refused.value.reason, refused.value.metadata) == (Reason.FACE_DUPLICATE, {"person_id": "ann"})


async def test_an_expire_time_comes_back_as_it_was_given(matcher: RunningMatcher) -> None:
    zone = datetime.timezone(datetime.timedelta(hours=5, minutes=30))
    expire_time = datetime.datetime(2099, 1, 31, 18, 0, 0, 123456, zone)
    brief, lasting = (Encoding(vector, SPACE) for vector in vectors(2))
    async with AsyncMatcherClient(matcher.address) as client:
        await client.enroll("ann", brief, expire_time=expire_time)
        await client.enroll("ann", lasting)
        faces: list[StoredFace] = [face async for face in client.list_faces("ann", page_size=1)]
        assert [face.expire_time for face in faces] == [expire_time, None]
        with pytest.raises(FacerecError) as caught:
            await client.enroll("ann", lasting, expire_time=datetime.datetime.now(datetime.UTC))
        assert (caught.value.reason, caught.value.field) == (Reason.OPTION_INVALID, "expire_time")
