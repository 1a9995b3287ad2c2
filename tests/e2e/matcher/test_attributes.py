"""Labels and metadata of people: set, changed, listed by, exported, imported, and erased."""

import itertools
import unicodedata
from typing import Any

import asyncpg
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.struct_pb2 import Struct

from facerec.client import AsyncCollectionClient, AsyncMatcherClient, Encoding, NewFace, Person
from facerec.errors import FacerecError, Reason
from facerec.matcher.v1 import matcher_pb2 as pb
from facerec.matcher.v1 import transfer_pb2
from matcher_service.collections import repository as collections
from matcher_service.domain.attributes import MAX_METADATA_BYTES
from matcher_service.domain.ids import MAX_TEXT_CHARACTERS
from matcher_service.persons import listing
from matcher_service.transfer import exporter
from tests.e2e.matcher.requests import SPACE, Vector, encoding, enroll, refused, vectors
from tests.e2e.matcher.transfers import chunk, header, send
from tests.fixtures.matcher import RunningMatcher

METADATA = {"shoe": 43.5, "huge": 1e300, "notes": ["é", None, {"vip": True}], "zero": "\0"}
VECTORS = vectors(12)


def face(number: int) -> Encoding:
    return Encoding(VECTORS[number], SPACE)


async def names(client: AsyncMatcherClient, **selection: Any) -> list[str]:
    """The ids of the people of a list, a person a page."""
    return [person.person_id async for person in client.list_persons(page_size=1, **selection)]


async def test_enrolling_and_updating_set_labels_and_metadata_and_never_replace_others(
    matcher: RunningMatcher,
) -> None:
    async with AsyncMatcherClient(matcher.address) as client:
        first = await client.enroll("ann", face(0), labels={"site": "a", "team": "x"}, metadata=METADATA)
        assert (first.person.labels, first.person.metadata) == ({"site": "a", "team": "x"}, METADATA)
        again = await client.enroll("ann", face(0), labels={"site": "caf" + "e\u0301", "a.b-c_1": ""})
        kept = {"site": "café", "team": "x", "a.b-c_1": ""}
        assert (again.person.labels, again.person.metadata) == (kept, METADATA)
        assert again.person.update_time > first.person.update_time
        same = await client.enroll("ann", face(0), labels={"team": "x"}, metadata=METADATA)
        assert same.person == again.person == await client.get_person("ann")
        changed = await client.update_person("ann", labels={"site": "b", "team": None})
        assert (changed.labels, changed.metadata) == ({"site": "b", "a.b-c_1": ""}, METADATA)
        changed = await client.update_person("ann", labels={"door": "1"}, replace_labels=True, metadata={})
        assert (changed.labels, changed.metadata) == ({"door": "1"}, {})
        unchanged = await client.update_person("ann", labels={"door": "1", "none": None})
        assert unchanged == changed == await client.get_person("ann")
        removed = await client.update_person("ann", replace_labels=True, display_name="Ann")
        assert (removed.labels, removed.display_name) == ({}, "Ann")


async def test_without_a_mask_given_labels_are_set_and_others_stay(matcher: RunningMatcher) -> None:
    await matcher.stub.Enroll(enroll("ann", encoding(VECTORS[0]), labels={"a": "1", "b": "2"}))
    update = pb.UpdatePersonRequest(person_id="ann", labels={"b": "3"})
    assert dict((await matcher.stub.UpdatePerson(update)).person.labels) == {"a": "1", "b": "3"}
    update.update_mask.CopyFrom(FieldMask(paths=["labels.a"]))
    with refused(Reason.OPTION_INVALID, "labels"):  # b is set and not named
        await matcher.stub.UpdatePerson(update)
    del update.labels["b"]
    assert dict((await matcher.stub.UpdatePerson(update)).person.labels) == {"b": "3"}
    for paths in (["space"], ["labels."], ["labels.A"], ["label"]):
        with refused(Reason.OPTION_INVALID, "update_mask"):
            mask = FieldMask(paths=paths)
            await matcher.stub.UpdatePerson(pb.UpdatePersonRequest(person_id="ann", update_mask=mask))


async def test_labels_and_metadata_beyond_their_limits_are_refused_and_nothing_is_stored(
    matcher: RunningMatcher,
) -> None:
    full = {f"k{number}": "v" for number in range(32)}
    await matcher.stub.Enroll(enroll("ann", encoding(VECTORS[0]), labels=full))
    for labels in ({"Site": "a"}, {"": "a"}, {"a" * 64: "a"}, {"a": "x" * 129}, {"a": "\n"}, {"k32": "v"}):
        with refused(Reason.OPTION_INVALID, "labels"):
            await matcher.stub.UpdatePerson(pb.UpdatePersonRequest(person_id="ann", labels=labels))
        with refused(Reason.OPTION_INVALID, "labels"):
            await matcher.stub.Enroll(enroll("ann", encoding(VECTORS[1]), labels=labels))
    person = (await matcher.stub.GetPerson(pb.GetPersonRequest(person_id="ann"))).person
    assert (dict(person.labels), person.face_count) == (full, 1)
    longest, infinite = Struct(), Struct()
    characters = MAX_METADATA_BYTES - len('{"a":""}')
    longest.update({"a": "x" * characters})
    await matcher.stub.UpdatePerson(pb.UpdatePersonRequest(person_id="ann", metadata=longest))
    longest.update({"a": "x" * (characters + 1)})
    infinite.update({"a": [float("inf")]})
    for metadata in (longest, infinite):
        with refused(Reason.OPTION_INVALID, "metadata"):
            await matcher.stub.Enroll(enroll("ann", encoding(VECTORS[1]), metadata=metadata))


async def test_a_request_id_is_of_one_content_with_its_labels_and_metadata(matcher: RunningMatcher) -> None:
    async with AsyncMatcherClient(matcher.address) as client:
        first = await client.enroll("ann", face(0), request_id="r", labels={"a": "1"}, metadata={"b": 2})
        assert (
            await client.enroll("ann", face(0), request_id="r", labels={"a": "1"}, metadata={"b": 2}) == first
        )
        for labels, metadata in (
            ({"a": "2"}, {"b": 2}),
            ({}, {"b": 2}),
            ({"a": "1"}, None),
            ({"a": "1"}, {}),
        ):
            with pytest.raises(FacerecError) as caught:
                await client.enroll("ann", face(0), request_id="r", labels=labels, metadata=metadata)
            assert caught.value.reason is Reason.REQUEST_ID_REUSED


async def test_decisions_have_attributes_only_where_they_are_asked_for(matcher: RunningMatcher) -> None:
    async with AsyncMatcherClient(matcher.address) as client:
        await client.enroll("ann", face(0), labels={"a": "1"}, metadata=METADATA)
        plain = await client.verify("ann", face(0))
        assert (plain.labels, plain.metadata) == ({}, {})
        verified = await client.verify("ann", face(0), include_attributes=True)
        assert (verified.labels, verified.metadata) == ({"a": "1"}, METADATA)
        other = await client.verify("ann", face(1), include_attributes=True)
        assert (other.match, other.labels, other.metadata) == (False, {}, {})
        both = await client.identify(face(1), face(0), include_attributes=True)
        (found,) = both.faces[1].candidates
        assert (both.faces[0].candidates, found.labels, found.metadata) == ((), {"a": "1"}, METADATA)
        (found,) = (await client.identify(face(0))).faces[0].candidates
        assert (found.labels, found.metadata) == ({}, {})
        with pytest.raises(FacerecError) as caught:
            await client.identify(face(0), include_attributes=True, max_candidates=11)
        assert (caught.value.reason, caught.value.field) == (Reason.OPTION_INVALID, "max_candidates")


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


async def test_a_person_without_faces_is_added_once_and_gets_them_later(matcher: RunningMatcher) -> None:
    request = pb.UpdatePersonRequest(person_id="ann", allow_missing=True)
    added = await matcher.stub.UpdatePerson(request)
    assert (added.person_created, added.person.face_count) == (True, 0)
    again = await matcher.stub.UpdatePerson(request)
    assert (again.person_created, again.person) == (False, added.person)
    async with AsyncMatcherClient(matcher.address) as client:
        with refused(Reason.PERSON_NOT_FOUND, "person_id"):
            await matcher.stub.UpdatePerson(pb.UpdatePersonRequest(person_id="ben", display_name="Ben"))
        ben = await client.update_person("ben", display_name="Ben", suspended=True, allow_missing=True)
        assert (ben.display_name, ben.suspended) == ("Ben", True)
        enrolled = await client.enroll("ann", face(0))
        assert (enrolled.person_created, enrolled.person.face_count) == (False, 1)
        with refused(Reason.COLLECTION_NOT_FOUND, "collection_id"):
            request.collection_id = "nowhere"
            await matcher.stub.UpdatePerson(request)


async def test_a_merge_keeps_the_targets_attributes_and_takes_none(matcher: RunningMatcher) -> None:
    async with AsyncMatcherClient(matcher.address) as client:
        await client.enroll("annie", face(0), labels={"a": "1", "b": "2"}, metadata={"a": 1})
        await client.enroll("ann", face(1), labels={"a": "3"})
        merged = (await client.merge_persons("annie", "ann")).person
        assert (merged.labels, merged.metadata, merged.face_count) == ({"a": "3"}, {}, 2)


async def test_events_say_which_fields_changed_and_never_to_what(
    matcher: RunningMatcher, administrator: asyncpg.Connection
) -> None:
    async with (
        AsyncMatcherClient(matcher.address) as client,
        AsyncCollectionClient(matcher.address) as collections,
    ):
        await client.enroll("ann", face(0), labels={"secret-key": "secret-value"})
        await client.enroll("ann", face(0), metadata={"secret": 1}, display_name="secret")
        await client.update_person("ann", labels={"secret-key": None})
        await client.update_person("ann", labels={"secret-key": None})
        events = [each async for each in collections.list_audit_events()]
        assert [(each.action, each.details) for each in events] == [
            ("UPDATE_PERSON", {}),
            ("UPDATE_PERSON", {"changed": "labels"}),
            ("UPDATE_PERSON", {"changed": "display_name, metadata"}),
            ("ENROLL", {}),
        ]
        export = await client.export_person("ann")
        assert export.person == await client.get_person("ann")
    assert not await administrator.fetch("SELECT FROM facerec.audit a WHERE a::text LIKE '%secret%'")


@pytest.mark.parametrize("page_bytes", [exporter.PAGE_ATTRIBUTE_BYTES, 1], ids=["whole", "page by page"])
async def test_an_export_has_each_persons_attributes_once_and_an_import_sets_them(
    matcher: RunningMatcher, page_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporter, "PAGE_ATTRIBUTE_BYTES", page_bytes)
    async with (
        AsyncMatcherClient(matcher.address) as client,
        AsyncCollectionClient(matcher.address) as collections,
    ):
        await client.enroll("ann", face(0), face(1), face(2), labels={"site": "a"}, metadata=METADATA)
        await client.enroll("ben", face(3), face(4), labels={"site": "b"})
        await client.enroll("cat", face(5))
        await collections.create_collection("copy")
        batches = [batch async for batch in client.export_faces()]
        assert [each for batch in batches for each in batch.labels] == [
            {"site": "a"},
            {},
            {},
            {"site": "b"},
            {},
            {},
        ]

        async def sent() -> Any:
            for batch in batches:
                yield batch

        await client.import_faces(sent(), space=SPACE, import_id="copy", collection_id="copy")
        people = [each async for each in client.list_persons()]
        copies = [each async for each in client.list_persons(collection_id="copy")]
        assert list(map(kept, people)) == list(map(kept, copies))


def kept(person: Person) -> object:
    return person.person_id, person.labels, person.metadata, person.face_count


async def test_an_import_sets_given_labels_keeps_others_and_refuses_too_many(matcher: RunningMatcher) -> None:
    Attributes = transfer_pb2.Attributes
    full = Attributes(labels={f"k{number}": "v" for number in range(32)})
    wrong, one, two = (
        Attributes(labels={"A": ""}),
        Attributes(labels={"a": "1"}),
        Attributes(labels={"a": "2"}),
    )
    data = Struct()
    data.update({"x": 1})
    await matcher.stub.Enroll(enroll("ann", encoding(VECTORS[0]), labels={"b": "0"}, metadata=data))
    people = ["ann", "ann", "ben", "ben", "ann"]
    given = [one, two, Attributes(), full, wrong]
    report = await send(matcher, header(), chunk(VECTORS[1:6], people, attributes=given))
    assert (report.faces_added, report.rows_refused) == (4, 1)
    assert [(row.row, row.field) for row in report.refused] == [(4, "attributes")]
    ann = (await matcher.stub.GetPerson(pb.GetPersonRequest(person_id="ann"))).person
    assert (dict(ann.labels), dict(ann.metadata)) == ({"a": "2", "b": "0"}, {"x": 1})
    # No new face: the labels are set all the same. Ben has as many as may be.
    again = chunk(VECTORS[[1, 3, 4]], ["ann", "ben", "ben"], attributes=[one, one, Attributes()])
    for dry_run in (True, False):
        report = await send(matcher, header("second", dry_run=dry_run), again)
        assert (report.faces_already_there, report.rows_refused) == (2, 1)
        assert [(row.row, row.field) for row in report.refused] == [(1, "attributes")]
    ann = (await matcher.stub.GetPerson(pb.GetPersonRequest(person_id="ann"))).person
    assert dict(ann.labels) == {"a": "1", "b": "0"}
    ben = (await matcher.stub.GetPerson(pb.GetPersonRequest(person_id="ben"))).person
    assert dict(ben.labels) == dict(full.labels)


async def test_a_collection_counts_its_people_and_faces_or_says_that_it_estimates(
    matcher: RunningMatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        AsyncMatcherClient(matcher.address) as client,
        AsyncCollectionClient(matcher.address) as described,
    ):
        await client.enroll("ann", face(0), face(1), face(2))
        await client.enroll("ben", face(3))
        found = await described.get_collection()
        assert (found.estimated_faces, found.faces_exact) == (4, True)
        assert (found.estimated_persons, found.persons_exact) == (2, True)
        monkeypatch.setattr(collections, "COUNTED_ROWS", 3)
        found = await described.get_collection()
        assert (found.faces_exact, found.persons_exact) == (False, False)
        (listed,) = [each async for each in described.list_collections()]
        assert (listed.faces_exact, listed.persons_exact) == (False, False)


async def among(matcher: RunningMatcher, vector: Vector, chosen: pb.PersonFilter) -> pb.IdentifiedFace:
    request = pb.IdentifyRequest(probes=[encoding(vector)], filter=chosen)
    answer: pb.IdentifiedFace = (await matcher.stub.Identify(request)).faces[0]
    return answer


async def test_a_filter_counts_the_faces_of_the_few_whom_it_selects(matcher: RunningMatcher) -> None:
    near, far = vectors(2)
    for person_id, site in (("ann", "a"), ("ben", "b")):
        await matcher.stub.Enroll(enroll(person_id, encoding(near), encoding(far), labels={"site": site}))
    by_site = pb.PersonFilter(labels={"site": pb.LabelValues(values=["b"])})
    answer = await among(matcher, near, by_site)
    assert [each.person_id for each in answer.candidates] == ["ben"]
    assert (answer.faces_searched, answer.exact, answer.mode) == (2, True, pb.SEARCH_MODE_EXACT)
    await matcher.stub.UpdatePerson(pb.UpdatePersonRequest(person_id="ann", labels={"site": "b"}))
    answer = await among(matcher, near, by_site)
    assert [each.person_id for each in answer.candidates] == ["ann", "ben"]
    answer = await among(matcher, near, pb.PersonFilter(person_ids=["ann", "nobody"]))
    assert [each.person_id for each in answer.candidates] == ["ann"]
    answer = await among(matcher, near, pb.PersonFilter(person_ids=["nobody"]))
    assert (list(answer.candidates), answer.faces_searched) == ([], 0)
