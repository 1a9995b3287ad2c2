"""Lists of people and faces: by labels, ids, names, words and references, and in pages."""

import itertools
import unicodedata
from typing import Any

import pytest

from facerec.client import AsyncMatcherClient, Encoding, NewFace
from facerec.errors import Reason
from facerec.matcher.v1 import matcher_pb2 as pb
from matcher_service.domain.ids import MAX_TEXT_CHARACTERS
from matcher_service.persons import listing
from tests.e2e.matcher.requests import SPACE, refused, vectors
from tests.fixtures.matcher import RunningMatcher

VECTORS = vectors(12)


def face(number: int) -> Encoding:
    return Encoding(VECTORS[number], SPACE)


async def names(client: AsyncMatcherClient, **selection: Any) -> list[str]:
    """The ids of the people of a list, a person a page."""
    return [person.person_id async for person in client.list_persons(page_size=1, **selection)]


@pytest.mark.parametrize("by_key", [5000, 4], ids=["by key", "in the order of ids"])
async def test_people_are_listed_by_labels_ids_and_names(
    matcher: RunningMatcher, by_key: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "LISTED_BY_KEY", by_key)
    people = {
        f"p{number}": (
            {"site": "ab"[number % 2], "quote.d": f'"{number % 3}\\'},
            ["Ann", "anna", ""][number % 3],
        )
        for number in range(8)
    }
    async with AsyncMatcherClient(matcher.address) as client:
        for number, (person_id, (labels, name)) in enumerate(people.items()):
            await client.enroll(person_id, face(number), labels=labels, display_name=name)
        await client.enroll("nobody", face(8))
        for site, quoted in itertools.product((None, "a", ["a", "b"], "c"), (None, '"1\\', ['"0\\', '"2\\'])):
            asked = {"site": site, "quote.d": quoted}
            chosen: Any = {key: value for key, value in asked.items() if value is not None}
            expected = [
                person_id
                for person_id, (labels, _) in people.items()
                if all(labels[key] in value for key, value in chosen.items() if isinstance(value, list))
                and all(labels[key] == value for key, value in chosen.items() if isinstance(value, str))
            ]
            assert await names(client, labels=chosen) == (
                [*sorted(["nobody", *expected])] if not chosen else expected
            )
        assert await names(client, name_prefix="An") == ["p0", "p3", "p6"]
        assert await names(client, name_prefix="an", labels={"site": "a"}) == ["p4"]
        assert await names(client, prefix="p", person_ids=["p7", "p1", "nobody", "gone"]) == ["p1", "p7"]
        assert await names(client, person_ids=["p7", "p1"], labels={"site": ["a"]}) == []
        page = await matcher.stub.ListPersons(pb.ListPersonsRequest(page_size=1, display_name_prefix="An"))
        with refused(Reason.OPTION_INVALID, "page_token"):
            request = pb.ListPersonsRequest(page_token=page.next_page_token, display_name_prefix="A")
            await matcher.stub.ListPersons(request)


NAMES = {
    "e-1": "Ana\u00efs N\u00fa\u00f1ez",
    "e-2": "\u00c9va  O'Brien",
    "E-3": "E\u0301va \\ & nu:*",
    "\u0394\u03af\u03b1\u03c3": "\u5c71\u7530\u3000\u592a\u90ce",
    "ana": "",
}
QUERIES = (
    *("e", "E-3", "-1", "an", "ANA", "n\u00da\u00d1 an", "\u00e9VA", "e\u0301", "o'b", "o'b \u00e9va nobody"),
    *("\\", "&", "nu:*", "nu:*x", "*", "\u03b4\u038a", "\u592a", "\u7530", " \t\u3000", "a b c d e f g h"),
)


def words(text: str) -> list[str]:
    return unicodedata.normalize("NFC", text).lower().split()


async def test_a_query_finds_people_by_beginnings_of_the_words_of_id_and_name(
    matcher: RunningMatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Be they many, so that reading some in the order of ids fills a page, or few, among many or some."""
    async with AsyncMatcherClient(matcher.address) as client:
        for number, (person_id, name) in enumerate(NAMES.items()):
            await client.enroll(person_id, face(number), display_name=name, labels={"even": str(number % 2)})
        for in_order, by_key in (
            (listing.READ_IN_ORDER, listing.LISTED_BY_KEY),
            (1, listing.LISTED_BY_KEY),
            (1, 1),
        ):
            monkeypatch.setattr(listing, "READ_IN_ORDER", in_order)
            monkeypatch.setattr(listing, "LISTED_BY_KEY", by_key)
            for query in QUERIES:
                expected = [
                    person_id
                    for person_id, name in NAMES.items()
                    if all(any(w.startswith(q) for w in words(f"{person_id} {name}")) for q in words(query))
                ]
                assert await names(client, query=query) == sorted(expected), query
            assert await names(client, query="E", labels={"even": "0"}, prefix="E") == ["E-3"]
            assert await names(client, query="E", person_ids=["ana", "e-2"], name_prefix="\u00c9") == ["e-2"]
        await client.update_person("ana", display_name="Zo\u00eb")
        assert await names(client, query="ZO\u00cb") == ["ana"]
        longest = "\U0001d160" * MAX_TEXT_CHARACTERS  # three characters of four bytes each in NFC
        await client.update_person("ana", display_name=longest)
        assert await names(client, query=longest) == await names(client, query=longest[:9]) == ["ana"]
    for query in ("x" * 257, "a\0", "a b c d e f g h i"):
        with refused(Reason.OPTION_INVALID, "query"):
            await matcher.stub.ListPersons(pb.ListPersonsRequest(query=query))


async def test_a_page_of_people_ends_before_it_is_too_large_to_read(
    matcher: RunningMatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "PAGE_ATTRIBUTE_BYTES", 2000)
    async with AsyncMatcherClient(matcher.address) as client:
        for number in range(6):
            await client.enroll(f"p{number}", face(number), metadata={"a": "x" * 150})
        assert [person.person_id async for person in client.list_persons()] == [f"p{n}" for n in range(6)]
    page = await matcher.stub.ListPersons(pb.ListPersonsRequest())
    assert 1 < len(page.persons) < 6
    assert page.next_page_token


async def test_filters_beyond_their_limits_are_refused(matcher: RunningMatcher) -> None:
    def of(values: int, key: str = "a") -> pb.PersonFilter:
        return pb.PersonFilter(labels={key: pb.LabelValues(values=[str(value) for value in range(values)])})

    for chosen, field in (
        (of(0), "filter.labels[a].values"),
        (of(17), "filter.labels[a].values"),
        (of(1, "A"), "filter.labels"),
        (pb.PersonFilter(labels={f"k{n}": pb.LabelValues(values=[""]) for n in range(33)}), "filter.labels"),
        (pb.PersonFilter(person_ids=map(str, range(1001))), "filter.person_ids"),
    ):
        with refused(Reason.OPTION_INVALID, field):
            await matcher.stub.ListPersons(pb.ListPersonsRequest(filter=chosen))
    with refused(Reason.ID_INVALID, "filter.person_ids[1]"):
        await matcher.stub.ListPersons(pb.ListPersonsRequest(filter=pb.PersonFilter(person_ids=["a", ""])))


async def test_faces_are_found_by_their_reference(matcher: RunningMatcher) -> None:
    async with AsyncMatcherClient(matcher.address) as client:
        for number in range(6):
            reference = ["", "badge 1", "badge 2"][number % 3]
            await client.enroll(f"p{number % 2}", NewFace(face(number), reference))
        found = [each async for each in client.list_faces(external_ref="badge 1", page_size=1)]
        assert [(each.person_id, each.external_ref) for each in found] == [
            ("p1", "badge 1"),
            ("p0", "badge 1"),
        ]
        assert [each async for each in client.list_faces("p0", external_ref="badge 1")] == found[1:]
        assert [each async for each in client.list_faces(external_ref="badge")] == []
        every = [each async for each in client.list_faces(page_size=2)]
        assert [each.face_id for each in every] == sorted(each.face_id for each in every)
        assert len(every) == 6
        assert {each.face_id for each in found} < {each.face_id for each in every}
