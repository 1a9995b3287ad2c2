"""Keys that are limited to people with some labels."""

from collections.abc import Callable
from pathlib import Path

import pytest

from facerec.errors import Reason
from facerec.matcher.v1 import matcher_pb2 as pb
from facerec.serving.auth.permissions import read_keys
from facerec.serving.server.errors import SettingsInvalid
from matcher_service.identification import search
from tests.e2e.access.conftest import bearer, entry
from tests.e2e.matcher.requests import encoding, enroll, refused, vectors
from tests.fixtures.matcher import RunningMatcher, StartMatcher

WriteKeys = Callable[..., Path]
NEAR = vectors(1)[0]
DECIDES = ["verify", "identify"]
MAY = "encodings = true\nscores = true\n"
SITES = {"ann": {"site": "a"}, "ben": {"site": "b"}, "cat": {"site": "b", "staff": "yes"}, "dan": {}}


@pytest.fixture
async def matcher(start_matcher: StartMatcher, database_url: str, keys_file: WriteKeys) -> RunningMatcher:
    """A matcher with one face of each of four people, all the same."""
    keys = keys_file(
        entry("admin", "x", ["admin"]),
        entry("door-a", "a", DECIDES, MAY + 'labels = { site = ["a"] }'),
        entry("door-b", "b", DECIDES, MAY + 'labels = { site = ["b", "c"] }'),
        entry("staff", "s", DECIDES, MAY + 'labels = { site = ["b"], staff = ["yes"] }'),
    )
    running = await start_matcher(database_url, keys_file=keys)
    for person_id, labels in SITES.items():
        await running.stub.Enroll(enroll(person_id, encoding(NEAR), labels=labels), metadata=bearer("x"))
    return running


async def found(matcher: RunningMatcher, key: str, chosen: pb.PersonFilter | None = None) -> list[str]:
    request = pb.IdentifyRequest(probes=[encoding(NEAR)], filter=chosen)
    (face,) = (await matcher.stub.Identify(request, metadata=bearer(key))).faces
    return [candidate.person_id for candidate in face.candidates]


def site(*values: str) -> pb.PersonFilter:
    return pb.PersonFilter(labels={"site": pb.LabelValues(values=values)})


@pytest.mark.parametrize("looked_up", [2000, 0], ids=["few", "many"])
async def test_a_limited_key_finds_only_people_with_its_labels(
    matcher: RunningMatcher, looked_up: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "MAX_LOOKED_UP", looked_up)
    assert await found(matcher, "x") == ["ann", "ben", "cat", "dan"]
    assert [await found(matcher, key) for key in "abs"] == [["ann"], ["ben", "cat"], ["cat"]]
    assert await found(matcher, "a", site("a", "b")) == ["ann"]
    assert await found(matcher, "a", site("b")) == []
    assert await found(matcher, "b", site("c", "b")) == ["ben", "cat"]
    assert await found(matcher, "b", pb.PersonFilter(person_ids=["ann", "cat", "dan"])) == ["cat"]


async def test_verify_knows_nobody_else_and_a_change_of_labels_counts_at_once(
    matcher: RunningMatcher,
) -> None:
    claim = pb.VerifyRequest(person_id="ann", probe=encoding(NEAR))
    assert (await matcher.stub.Verify(claim, metadata=bearer("a"))).match
    for person_id in ("ben", "dan", "nobody"):
        other = pb.VerifyRequest(person_id=person_id, probe=encoding(NEAR))
        with refused(Reason.PERSON_NOT_FOUND, "person_id", "the collection has no person with this id"):
            await matcher.stub.Verify(other, metadata=bearer("a"))
    moved = pb.UpdatePersonRequest(person_id="ann", labels={"site": "b"})
    await matcher.stub.UpdatePerson(moved, metadata=bearer("x"))
    with refused(Reason.PERSON_NOT_FOUND, "person_id"):
        await matcher.stub.Verify(claim, metadata=bearer("a"))
    assert (await matcher.stub.Verify(claim, metadata=bearer("b"))).match
    assert await found(matcher, "a") == []


async def test_a_limited_key_names_no_stored_face(matcher: RunningMatcher) -> None:
    listed = await matcher.stub.ListFaces(pb.ListFacesRequest(person_id="ann"), metadata=bearer("x"))
    stored = pb.Probe(face_id=listed.faces[0].face_id)
    with refused(Reason.NOT_PERMITTED, "probe.face_id"):
        await matcher.stub.Verify(pb.VerifyRequest(person_id="ann", probe=stored), metadata=bearer("a"))
    with refused(Reason.NOT_PERMITTED, "probes[0].face_id"):
        await matcher.stub.Identify(pb.IdentifyRequest(probes=[stored]), metadata=bearer("a"))
    pair = pb.CompareRequest(probe_a=encoding(NEAR), probe_b=stored)
    with refused(Reason.NOT_PERMITTED, "probe_b.face_id"):
        await matcher.stub.Compare(pair, metadata=bearer("a"))


async def test_a_limited_key_names_no_person_as_a_probe(matcher: RunningMatcher) -> None:
    held = pb.Probe(person_id="ann")
    with refused(Reason.NOT_PERMITTED, "probes[0].person_id"):
        await matcher.stub.Identify(pb.IdentifyRequest(probes=[held]), metadata=bearer("a"))
    with refused(Reason.NOT_PERMITTED, "probe_a.person_id"):
        pair = pb.CompareRequest(probe_a=held, probe_b=encoding(NEAR))
        await matcher.stub.Compare(pair, metadata=bearer("a"))


async def test_a_suspended_person_is_known_to_those_alone_who_may_find_them(matcher: RunningMatcher) -> None:
    for person_id in ("ann", "ben"):
        change = pb.UpdatePersonRequest(person_id=person_id, suspended=True)
        await matcher.stub.UpdatePerson(change, metadata=bearer("x"))
    assert [await found(matcher, key) for key in "xabs"] == [["cat", "dan"], [], ["cat"], ["cat"]]
    for person_id, reason in (("ann", Reason.PERSON_SUSPENDED), ("ben", Reason.PERSON_NOT_FOUND)):
        with refused(reason, "person_id"):
            claim = pb.VerifyRequest(person_id=person_id, probe=encoding(NEAR))
            await matcher.stub.Verify(claim, metadata=bearer("a"))


def test_labels_are_for_roles_whose_methods_respect_them(keys_file: WriteKeys) -> None:
    for roles in (["verify", "manage"], ["enroll"], ["admin"]):
        with pytest.raises(SettingsInvalid, match="an entry with labels may have the roles encode, verify"):
            read_keys(keys_file(entry("door", "d", roles, 'labels = { site = ["a"] }')))
    for labels in ("{ Site = ['a'] }", "{ site = [] }", "{ site = 'a' }"):
        with pytest.raises(SettingsInvalid):
            read_keys(keys_file(entry("door", "d", DECIDES, f"labels = {labels}")))
