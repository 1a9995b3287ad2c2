"""Collections: created, listed, changed; a new setting applies to the next call on every replica."""

import asyncio

import grpc.aio
import numpy as np
import pytest
from google.protobuf.duration_pb2 import Duration

from facerec.client.failures import from_rpc_error
from facerec.errors import Reason
from facerec.matcher.v1 import matcher_pb2 as pb
from facerec.matcher.v1 import score_rule_pb2
from tests.e2e.matcher.catalog import NEW, create, get, merged
from tests.e2e.matcher.requests import SPACE, encoding, enroll, refused, vectors
from tests.e2e.matcher.transfers import chunk, header, people, send
from tests.fixtures.matcher import RunningMatcher

YEAR = Duration(seconds=366 * 86400)
CHANGES = [
    pb.CollectionSettings(display_name="Staff"),
    pb.CollectionSettings(verify_threshold=0.0),
    pb.CollectionSettings(identify_threshold=4.0),
    pb.CollectionSettings(duplicate_policy=pb.DUPLICATE_POLICY_ALLOW),
    pb.CollectionSettings(duplicate_policy=pb.DUPLICATE_POLICY_REFUSE),
    pb.CollectionSettings(duplicate_threshold=0.25),
    pb.CollectionSettings(consistency_policy=pb.CONSISTENCY_POLICY_ALLOW),
    pb.CollectionSettings(consistency_policy=pb.CONSISTENCY_POLICY_REFUSE),
    pb.CollectionSettings(quality=pb.QualityPolicy(min_face_pixels=65535)),
    pb.CollectionSettings(search=pb.SearchPolicy(exact_only=True)),
    pb.CollectionSettings(search=pb.SearchPolicy(index_above_faces=1000)),
    pb.CollectionSettings(search=pb.SearchPolicy(acceptance_threshold=0.0)),
    pb.CollectionSettings(search=pb.SearchPolicy(target_recall=0.5)),
    pb.CollectionSettings(retention=YEAR),
    pb.CollectionSettings(score_rule=score_rule_pb2.SCORE_RULE_ROOT_MEAN_SQUARE, verify_threshold=0.7),
]


async def test_a_new_collection_has_the_defaults_the_contract_states(matcher: RunningMatcher) -> None:
    made = await create(matcher, "a")
    assert (made.settings, made.space) == (NEW, SPACE)
    assert (made.index, made.estimated_faces) == (pb.SearchIndex(), 0)
    assert await get(matcher, "a") == made
    assert (await get(matcher, "")).settings == NEW
    with refused(Reason.COLLECTION_EXISTS, "collection_id"):
        await create(matcher, "a", settings=pb.CollectionSettings(display_name="other"))
    assert await get(matcher, "a") == made
    with refused(Reason.COLLECTION_EXISTS, "collection_id"):
        await create(matcher, "default")


async def test_few_faces_are_counted_and_not_estimated(matcher: RunningMatcher) -> None:
    await send(matcher, header(), chunk(vectors(7), people(7)))
    assert (await get(matcher, "")).estimated_faces == 7


async def test_every_setting_round_trips_alone_and_together(
    pair: tuple[RunningMatcher, RunningMatcher],
) -> None:
    one, other = pair
    await create(one, "step")
    expected = pb.CollectionSettings()
    expected.CopyFrom(NEW)
    for number, change in enumerate(CHANGES):
        assert (await create(one, f"alone{number}", settings=change)).settings == merged(NEW, change)
        expected = merged(expected, change)
        request = pb.UpdateCollectionRequest(collection_id="step", settings=change)
        updated = (await pair[number % 2].collections.UpdateCollection(request)).collection
        assert updated.settings == expected
        assert await get(other, "step") == updated
    for_ever = pb.UpdateCollectionRequest(
        collection_id="step", settings=pb.CollectionSettings(retention=Duration())
    )
    assert (await one.collections.UpdateCollection(for_ever)).collection.settings.retention == Duration()
    with refused(Reason.OPTION_INVALID, "settings"):
        await one.collections.UpdateCollection(pb.UpdateCollectionRequest(collection_id="step"))
    with refused(Reason.COLLECTION_NOT_FOUND, "collection_id"):
        await one.collections.UpdateCollection(
            pb.UpdateCollectionRequest(collection_id="none", settings=CHANGES[0])
        )


@pytest.mark.parametrize("retention", [Duration(seconds=-1), Duration(nanos=1), Duration(seconds=10**11)])
async def test_an_invalid_retention_is_refused(matcher: RunningMatcher, retention: Duration) -> None:
    with refused(Reason.OPTION_INVALID, "settings.retention"):
        await create(matcher, "a", settings=pb.CollectionSettings(retention=retention))
    with refused(Reason.COLLECTION_NOT_FOUND, "collection_id"):
        await get(matcher, "a")


async def test_thresholds_and_policies_decide_at_the_very_next_call_on_another_replica(
    pair: tuple[RunningMatcher, RunningMatcher],
) -> None:
    stored, probe = np.zeros(128, np.float32), np.zeros(128, np.float32)
    probe[0] = 0.5
    await create(pair[0], "a")
    await pair[0].stub.Enroll(enroll("ann", encoding(stored), collection_id="a"))
    claim = pb.VerifyRequest(collection_id="a", person_id="ann", probe=encoding(probe))
    search = pb.IdentifyRequest(collection_id="a", probes=[encoding(probe)])
    both = pb.CompareRequest(collection_id="a", probe_a=encoding(stored), probe_b=encoding(probe))
    for number in range(60):
        change, ask = pair[number % 2], pair[(number + 1) % 2].stub
        near = bool(number % 3)
        settings = pb.CollectionSettings(
            verify_threshold=0.5 if near else 0.499,
            identify_threshold=0.499 if near else 0.5,
            duplicate_threshold=0.5 if near else 0.499,
            duplicate_policy=pb.DUPLICATE_POLICY_REFUSE,
        )
        await change.collections.UpdateCollection(
            pb.UpdateCollectionRequest(collection_id="a", settings=settings)
        )
        assert (await ask.Verify(claim)).match is near
        assert (await ask.Compare(both)).match is near
        assert bool((await ask.Identify(search)).faces[0].candidates) is not near
        copy = enroll("ben", encoding(probe), collection_id="a")
        if near:
            with refused(Reason.FACE_DUPLICATE, "items[0].probe"):
                await ask.Enroll(copy)
        else:
            await ask.Enroll(copy)
            await ask.DeletePerson(pb.DeletePersonRequest(collection_id="a", person_id="ben"))


async def test_collections_are_listed_by_id_a_page_at_a_time(matcher: RunningMatcher) -> None:
    names = ["0", "a", "a-b", "a_b", "ab", "z" * 63]
    for name in reversed(names):
        await create(matcher, name)
    listed, token = [], ""
    for _ in range(len(names) + 1):
        request = pb.ListCollectionsRequest(page_size=2, page_token=token)
        page = await matcher.collections.ListCollections(request)
        listed += [collection.collection_id for collection in page.collections]
        token = page.next_page_token
        if not token:
            break
    assert listed == sorted([*names, "default"])
    people = await matcher.collections.ListCollections(pb.ListCollectionsRequest(page_size=1))
    with refused(Reason.OPTION_INVALID, "page_token"):
        await matcher.stub.ListPersons(pb.ListPersonsRequest(page_token=people.next_page_token))
    with refused(Reason.OPTION_INVALID, "page_token"):
        await matcher.collections.ListCollections(pb.ListCollectionsRequest(page_token="bm8"))


async def test_of_many_concurrent_creations_of_a_collection_one_succeeds(
    pair: tuple[RunningMatcher, RunningMatcher],
) -> None:
    for attempt in range(5):
        calls = [create(pair[number % 2], f"c{attempt}") for number in range(6)]
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        failed = [outcome for outcome in outcomes if isinstance(outcome, grpc.aio.AioRpcError)]
        assert {from_rpc_error(error, "").reason for error in failed} == {Reason.COLLECTION_EXISTS}
        assert len(failed) == 5
