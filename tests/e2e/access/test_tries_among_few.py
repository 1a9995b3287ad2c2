"""A search among few people is a try against each of them, for callers whose tries are counted."""

from collections.abc import Callable, Sequence
from pathlib import Path

import asyncpg
import grpc.aio
import pytest

from facerec.errors import Reason
from facerec.matcher.v1 import matcher_pb2 as pb
from matcher_service.identification.failed_tries import MAX_COUNTED_PERSONS
from tests.e2e.access.conftest import bearer, entry
from tests.e2e.access.failed_tries import FAR, MAY, NEAR, tries
from tests.e2e.matcher.requests import Vector, encoding, enroll, refused
from tests.fixtures.matcher import RunningMatcher, StartMatcher
from tests.fixtures.vector_encoder import picture, vector_encoder

FEW = [f"p{number:02}" for number in range(MAX_COUNTED_PERSONS)]


@pytest.fixture
async def matcher(
    start_matcher: StartMatcher, database_url: str, keys_file: Callable[..., Path]
) -> RunningMatcher:
    """A matcher with one person more than few, all with one face, and whose pictures are vectors."""
    keys = keys_file(
        entry("admin", "a", ["admin"]),
        entry("held", "h", ["verify", "identify"], MAY + "scores = true\nfailed_tries_per_day = 2"),
        entry("camera", "c", ["identify"], "failed_tries_per_day = 3"),
    )
    running = await start_matcher(database_url, keys_file=keys)
    for person_id in (*FEW, "other"):
        await running.stub.Enroll(
            enroll(person_id, encoding(NEAR), labels={"site": "a"}), metadata=bearer("a")
        )
    return running


async def found(
    matcher: RunningMatcher, vectors: Sequence[Vector], people: Sequence[str], key: str = "h"
) -> list[list[str]]:
    """Whom searches among people find."""
    probes = [encoding(vector) if key == "h" else pb.Probe(image=picture(vector)) for vector in vectors]
    request = pb.IdentifyRequest(probes=probes, filter=pb.PersonFilter(person_ids=people), max_candidates=20)
    answer = await matcher.stub.Identify(request, metadata=bearer(key))
    return [[each.person_id for each in face.candidates] for face in answer.faces]


async def test_each_search_that_finds_somebody_not_is_a_failed_try_against_them(
    matcher: RunningMatcher, administrator: asyncpg.Connection
) -> None:
    assert await found(matcher, [FAR, FAR], FEW) == [[], []]
    assert await tries(administrator) == [("held", 24.0)] * MAX_COUNTED_PERSONS
    for vector in (NEAR, FAR):
        with refused(Reason.RATE_LIMITED):
            await found(matcher, [vector], FEW[:1])
    claim = pb.VerifyRequest(person_id=FEW[0], probe=encoding(NEAR))
    with refused(Reason.RATE_LIMITED):
        await matcher.stub.Verify(claim, metadata=bearer("h"))
    # By label it is everybody, one more than few: as a search among all people it counts nothing.
    by_label = pb.PersonFilter(labels={"site": pb.LabelValues(values=["a"])})
    request = pb.IdentifyRequest(probes=[encoding(NEAR)], filter=by_label, max_candidates=20)
    (face,) = (await matcher.stub.Identify(request, metadata=bearer("h"))).faces
    assert [each.person_id for each in face.candidates] == sorted([*FEW, "other"])
    assert await tries(administrator) == [("held", 24.0)] * MAX_COUNTED_PERSONS


async def test_a_search_for_one_person_by_several_photos_counts_as_so_many_tries(
    matcher: RunningMatcher, administrator: asyncpg.Connection
) -> None:
    for vector, hours in ((NEAR, 1.2), (FAR, 25.2)):
        chosen = pb.PersonFilter(person_ids=FEW[:2])
        request = pb.IdentifyRequest(probes=[encoding(vector)] * 2, same_person=True, filter=chosen)
        [face] = (await matcher.stub.Identify(request, metadata=bearer("h"))).faces
        assert [each.person_id for each in face.candidates] == (FEW[:2] if vector is NEAR else [])
        assert await tries(administrator) == [("held", hours)] * 2


async def test_a_search_by_a_person_counts_everybody_who_matches_beyond_the_candidates(
    matcher: RunningMatcher,
) -> None:
    request = pb.IdentifyRequest(
        probes=[pb.Probe(person_id="other")], filter=pb.PersonFilter(person_ids=FEW[:4]), max_candidates=1
    )
    [face] = (await matcher.stub.Identify(request, metadata=bearer("h"))).faces
    assert ([each.person_id for each in face.candidates], face.matched_persons) == (FEW[:1], 4)


async def test_a_refused_search_counts_nothing_and_a_match_what_a_match_of_verify_does(
    matcher: RunningMatcher, administrator: asyncpg.Connection
) -> None:
    claim = pb.VerifyRequest(person_id=FEW[3], probe=encoding(FAR))
    for _ in range(2):
        assert not (await matcher.stub.Verify(claim, metadata=bearer("h"))).match
    with refused(Reason.RATE_LIMITED):
        await found(matcher, [FAR], FEW)
    assert await tries(administrator) == [("held", 24.0)]
    assert await found(matcher, [NEAR], FEW[:2]) == [FEW[:2]]
    assert await tries(administrator) == [("held", 0.6), ("held", 0.6), ("held", 24.0)]


async def test_pictures_without_scores_are_counted_too_and_searches_at_once_as_one_after_another(
    start_matcher: StartMatcher,
    database_url: str,
    keys_file: Callable[..., Path],
    administrator: asyncpg.Connection,
    matcher: RunningMatcher,
) -> None:
    keys = keys_file(entry("camera", "c", ["identify"], "failed_tries_per_day = 3"))
    async with vector_encoder() as address:
        cameras = await start_matcher(database_url, keys_file=keys, encoder_address=address)
        assert await found(cameras, [NEAR, FAR], [*FEW[:2], "nobody"], "c") == [FEW[:2], []]
        assert await tries(administrator) == [("camera", 8.0)] * 2
        with pytest.raises(grpc.aio.AioRpcError):
            await found(cameras, [FAR] * 8, FEW[:2], "c")
        assert await tries(administrator) == [("camera", 24.0)] * 2


async def test_by_the_mean_of_several_pictures_a_key_without_scores_searches_few_people_only(
    start_matcher: StartMatcher,
    database_url: str,
    keys_file: Callable[..., Path],
    administrator: asyncpg.Connection,
    matcher: RunningMatcher,
) -> None:
    """Means of ordinary photos move in small steps, so free answers about them would reveal a vector."""
    keys = keys_file(
        entry("camera", "c", ["identify", "verify"], "failed_tries_per_day = 6"),
        entry("desk", "s", ["identify"], "scores = true"),
    )
    async with vector_encoder() as address:
        cameras = await start_matcher(database_url, keys_file=keys, encoder_address=address)
        for people in ([], [*FEW, "other"], FEW[:2]):
            probes = [pb.Probe(image=picture(NEAR))] * 2
            request = pb.IdentifyRequest(
                probes=probes, same_person=True, filter=pb.PersonFilter(person_ids=people), max_candidates=20
            )
            sighted = await cameras.stub.Identify(request, metadata=bearer("s"))
            assert sighted.faces[0].matched_persons == (len(people) or len(FEW) + 1)
            if people == FEW[:2]:
                blind = await cameras.stub.Identify(request, metadata=bearer("c"))
                assert [each.person_id for each in blind.faces[0].candidates] == people
            else:
                with refused(Reason.NOT_PERMITTED, "same_person", "scores = true"):
                    await cameras.stub.Identify(request, metadata=bearer("c"))
            one = pb.IdentifyRequest(probes=probes[:1], same_person=True)
            assert (await cameras.stub.Identify(one, metadata=bearer("c"))).faces[0].candidates
        assert await tries(administrator) == [("camera", 0.4)] * 2, "a match by a mean is a twentieth a photo"
        claim = pb.VerifyRequest(person_id="other", probes=probes)
        assert (await cameras.stub.Verify(claim, metadata=bearer("c"))).match
        assert await tries(administrator) == [("camera", 0.4)] * 3
