"""Likely duplicate persons: every pair that numpy finds, in pages of bounded size, and dismissals."""

from typing import Any

import asyncpg
import numpy as np
import pytest

from facerec.errors import Reason
from facerec.matcher.v1 import matcher_pb2 as pb
from facerec.matcher.v1 import review_pb2
from matcher_service.duplicates import review
from matcher_service.maintenance import runner
from matcher_service.maintenance.runner import MaintenanceOptions
from tests.benchmarks.vectors import Dataset, Faces
from tests.e2e.matcher.requests import SPACE, encoding, enroll, refused, vectors
from tests.fixtures.dataset import load, person_id
from tests.fixtures.matcher import RunningMatcher

PEOPLE = Dataset(1000, photos=2, even=True, seed=13)
NEAR = 0.55
Pairs = list[review_pb2.DuplicatePair]


async def every_pair(matcher: RunningMatcher, **fields: Any) -> Pairs:
    """The pairs of all pages, none of which may hold more than was asked for."""
    found, token = Pairs(), ""
    for _ in range(2000):
        request = review_pb2.ListDuplicatesRequest(page_token=token, **fields)
        page = await matcher.collections.ListDuplicates(request)
        assert len(page.pairs) <= (request.page_size or 100)
        found += page.pairs
        token = page.next_page_token
        if not token:
            return found
    raise AssertionError("the pages don't end")


def crowd(people: int, photos: int = 2, spread: float = 0.03) -> Faces:
    """People of whom most are about 16 times the spread from each other."""
    around = vectors(1) + np.random.default_rng(5).normal(0, spread, (people * photos, 128))
    return Faces(np.repeat(np.arange(people), photos), around.astype(np.float32))


def assert_exactly(pairs: Pairs, expected: dict[tuple[str, str], float]) -> None:
    """The pairs are those, each once, the earlier enrolled first."""
    found = {(pair.person_id_a, pair.person_id_b): pair.distance for pair in pairs}
    assert len(pairs) == len(found)
    assert found == {key: pytest.approx(distance, rel=1e-5) for key, distance in expected.items()}


def near_in_numpy(faces: Faces) -> dict[tuple[str, str], float]:
    """Every two persons with faces within NEAR, by the nearest."""
    wide = faces.encodings.astype(np.float64)
    squares = (wide**2).sum(axis=1)
    nearly = squares[:, None] + squares[None] - 2 * wide @ wide.T <= (NEAR + 1e-3) ** 2
    found: dict[tuple[str, str], float] = {}
    for a, b in np.argwhere(nearly):
        one, other = int(faces.people[a]), int(faces.people[b])
        distance = float(np.linalg.norm(wide[a] - wide[b]))
        if one < other and distance <= NEAR:
            key = (person_id(one), person_id(other))
            found[key] = min(found.get(key, 9.0), distance)
    return found


async def filled(url: str, faces: Faces | None = None) -> asyncpg.Connection:
    connection = await asyncpg.connect(url)
    await load(connection, faces or PEOPLE.all())
    return connection


async def index(connection: asyncpg.Connection, url: str) -> None:
    """Load the dataset and build its index; yields the connection."""
    await connection.execute("UPDATE facerec.collection SET index_above_faces = 1000")
    await runner.run_once(MaintenanceOptions(url))
    # Among people who are all alike an index finds nobody reliably; it is queried here nevertheless.
    await connection.execute("UPDATE facerec.collection SET index_effort = coalesce(index_effort, 16)")
    await connection.close()


async def test_every_pair_is_found_once_whatever_the_page(matcher: RunningMatcher, database_url: str) -> None:
    await (await filled(database_url)).close()
    expected = near_in_numpy(PEOPLE.all())
    assert len(expected) > 20
    for size in (0, 1, 7):
        assert_exactly(await every_pair(matcher, max_distance=NEAR, page_size=size), expected)
    page = await matcher.collections.ListDuplicates(
        review_pb2.ListDuplicatesRequest(max_distance=NEAR, page_size=1000)
    )
    assert (page.exact, page.persons_examined, page.next_page_token) == (True, 1000, "")
    assert [pair.distance for pair in page.pairs] == sorted(pair.distance for pair in page.pairs)


@pytest.mark.parametrize("distances", [review.STATEMENT_DISTANCES, 100])
async def test_every_pair_of_many_similar_people_is_found_with_pages_of_one(
    matcher: RunningMatcher, database_url: str, distances: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However little one statement may compare."""
    monkeypatch.setattr(review, "STATEMENT_DISTANCES", distances)
    people = crowd(24)
    await (await filled(database_url, people)).close()
    expected = near_in_numpy(people)
    assert 200 < len(expected) <= 276
    for size in (1, 9):
        assert_exactly(await every_pair(matcher, max_distance=NEAR, page_size=size), expected)


async def test_a_person_similar_to_thousands_exceeds_no_page_size(
    matcher: RunningMatcher, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(review, "STATEMENT_DISTANCES", 800_000)  # a fifth of all
    connection = await filled(database_url, crowd(2001, photos=1, spread=0.003))
    found, token, persons = Pairs(), "", []
    for _ in range(6):
        page = await matcher.collections.ListDuplicates(
            review_pb2.ListDuplicatesRequest(max_distance=NEAR, page_size=400, page_token=token)
        )
        found += page.pairs
        persons.append(page.persons_examined)
        token = page.next_page_token
        assert len(page.pairs) == 400
        assert [pair.distance for pair in page.pairs] == sorted(pair.distance for pair in page.pairs)
    firsts = [(person_id(0), person_id(other)) for other in range(1, 2001)]
    seconds = [(person_id(1), person_id(other)) for other in range(2, 402)]
    assert {(pair.person_id_a, pair.person_id_b) for pair in found} == {*firsts, *seconds}
    assert sum(persons) == 1

    await index(connection, database_url)
    by_index, token = Pairs(), ""
    for _ in range(20):
        page = await matcher.collections.ListDuplicates(
            review_pb2.ListDuplicatesRequest(max_distance=NEAR, page_size=7, page_token=token)
        )
        by_index += page.pairs
        token = page.next_page_token
        assert (len(page.pairs), page.exact) == (7, False)
    assert len({(pair.person_id_a, pair.person_id_b) for pair in by_index}) == 140


async def test_a_list_continues_after_an_erasure(matcher: RunningMatcher, database_url: str) -> None:
    await (await filled(database_url, crowd(6, spread=0.003))).close()
    first = await matcher.collections.ListDuplicates(review_pb2.ListDuplicatesRequest(page_size=2))
    await matcher.stub.DeletePerson(pb.DeletePersonRequest(person_id=person_id(0)))
    others = await every_pair(matcher)
    rest = await matcher.collections.ListDuplicates(
        review_pb2.ListDuplicatesRequest(page_token=first.next_page_token)
    )
    assert (len(first.pairs), len(others)) == (2, 10)
    assert list(rest.pairs) == others


async def test_a_token_is_valid_for_its_list_only(matcher: RunningMatcher, database_url: str) -> None:
    connection = await filled(database_url, crowd(3, spread=0.003))
    await connection.fetch("SELECT facerec.create_collection('other', $1)", SPACE)
    await connection.close()
    ask = review_pb2.ListDuplicatesRequest
    page = await matcher.collections.ListDuplicates(ask(max_distance=0.4, page_size=1))
    token = page.next_page_token
    for other in (
        ask(max_distance=0.41, page_size=1, page_token=token),
        ask(max_distance=0.4, page_size=1, page_token=token, collection_id="other"),
        ask(max_distance=0.4, page_size=1, page_token=token, include_dismissed=True),
        ask(page_size=1, page_token=token),
    ):
        with refused(Reason.OPTION_INVALID, "page_token", "the same collection_id, max_distance"):
            await matcher.collections.ListDuplicates(other)
    # How many pairs a page holds is another matter.
    page = await matcher.collections.ListDuplicates(ask(max_distance=0.4, page_token=token))
    assert len(page.pairs) == 2


async def test_an_index_finds_nearly_all_pairs(matcher: RunningMatcher, database_url: str) -> None:
    connection = await filled(database_url)
    again = PEOPLE.genuine(60)  # another photo of people who are there, enrolled under an id of its own
    for place, vector in enumerate(again.encodings):
        await matcher.stub.Enroll(enroll(f"again {place}", encoding(vector)))
    await index(connection, database_url)
    page = await matcher.collections.ListDuplicates(review_pb2.ListDuplicatesRequest(page_size=1))
    assert not page.exact
    pairs = await every_pair(matcher, max_distance=NEAR)
    found = {frozenset((p.person_id_a, p.person_id_b)) for p in pairs}
    assert len(found) == len(pairs)
    in_small_pages = await every_pair(matcher, max_distance=NEAR, page_size=3)
    assert sorted(in_small_pages, key=str) == sorted(pairs, key=str)
    near = {frozenset(key) for key in near_in_numpy(PEOPLE.all())}
    assert {pair for pair in found if not any(person.startswith("again") for person in pair)} <= near
    enrolled_twice = [{person_id(int(person)), f"again {place}"} for place, person in enumerate(again.people)]
    assert sum(pair in found for pair in enrolled_twice) >= 57


async def test_a_dismissed_pair_is_listed_only_on_request_until_one_person_is_erased(
    matcher: RunningMatcher, database_url: str
) -> None:
    one, other = vectors(2)
    await matcher.stub.Enroll(enroll("ann", encoding(one)))
    await matcher.stub.Enroll(enroll("annie", encoding(one + np.float32(0.001))))
    await matcher.stub.Enroll(enroll("bob", encoding(other)))
    (pair,) = await every_pair(matcher)
    assert (pair.person_id_a, pair.person_id_b, pair.dismissed) == ("ann", "annie", False)
    assert pair.distance == pytest.approx(0.001 * 128**0.5, rel=1e-2)

    dismiss = review_pb2.DismissDuplicateRequest(person_id_a="annie", person_id_b="ann")
    assert (await matcher.collections.DismissDuplicate(dismiss)).changed
    assert not (await matcher.collections.DismissDuplicate(dismiss)).changed
    assert await every_pair(matcher) == []
    (pair,) = await every_pair(matcher, include_dismissed=True)
    assert pair.dismissed
    dismiss.restore = True
    assert (await matcher.collections.DismissDuplicate(dismiss)).changed
    assert len(await every_pair(matcher)) == 1

    dismiss.restore = False
    await matcher.collections.DismissDuplicate(dismiss)
    await matcher.stub.DeletePerson(pb.DeletePersonRequest(person_id="annie"))
    await runner.run_once(MaintenanceOptions(database_url))
    connection = await asyncpg.connect(database_url)
    assert await connection.fetchval("SELECT count(*) FROM facerec.dismissed_duplicate") == 0
    await connection.close()
    # Somebody else of that id is another person, and a pair to look at.
    await matcher.stub.Enroll(enroll("annie", encoding(one + np.float32(0.001))))
    assert len(await every_pair(matcher)) == 1


async def test_bad_requests_name_their_field(matcher: RunningMatcher) -> None:
    await matcher.stub.Enroll(enroll("ann", encoding(vectors(1)[0])))
    with refused(Reason.PERSON_NOT_FOUND, "person_id_b"):
        await matcher.collections.DismissDuplicate(
            review_pb2.DismissDuplicateRequest(person_id_a="ann", person_id_b="nobody")
        )
    with refused(Reason.OPTION_INVALID, "person_id_b"):
        await matcher.collections.DismissDuplicate(
            review_pb2.DismissDuplicateRequest(person_id_a="ann", person_id_b="ann")
        )
    with refused(Reason.OPTION_INVALID, "page_token"):
        await matcher.collections.ListDuplicates(review_pb2.ListDuplicatesRequest(page_token="x"))
    with refused(Reason.OPTION_INVALID, "max_distance", "from 0 to 0.6"):
        await matcher.collections.ListDuplicates(review_pb2.ListDuplicatesRequest(max_distance=0.61))
