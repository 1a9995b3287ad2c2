"""Page tokens survive encoding and decoding, and only tokens of the same list are accepted."""

import dataclasses
import datetime
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matcher_service.domain import page_tokens
from matcher_service.domain.attributes import PersonFilter, Selection
from matcher_service.domain.errors import OptionInvalid
from matcher_service.domain.faces import Face, Person

ALL = Selection()
PAIRS = page_tokens.PairList("default", 0.5, include_dismissed=False)
NOW = datetime.datetime(2026, 1, 2, 3, 4, 5, 678901, datetime.UTC)
names = st.text(min_size=1, max_size=128).filter(lambda text: "\0" not in text)
times = st.datetimes(datetime.datetime(1900, 1, 1), timezones=st.just(datetime.UTC))


def person(person_id: str) -> Person:
    return Person(person_id, "", 0, NOW, NOW)


def face(person_id: str, create_time: datetime.datetime = NOW, face_id: uuid.UUID | None = None) -> Face:
    return Face(face_id or uuid.uuid4(), person_id, "", "", "", create_time)


@given(names)
def test_a_token_of_people_survives_encoding_and_decoding(name: str) -> None:
    assert (
        page_tokens.read_person(page_tokens.person_token("default", person(name), ALL), "default", ALL)
        == name
    )


@given(names, times, st.uuids())
def test_a_token_of_faces_survives_encoding_and_decoding(
    name: str, time: datetime.datetime, face_id: uuid.UUID
) -> None:
    token = page_tokens.face_token("default", name, "", face(name, time, face_id))
    assert page_tokens.read_face(token, "default", name, "") == (time, face_id)


@given(st.integers(-(2**63), 2**63 - 1), st.integers(-(2**63), 2**63 - 1))
def test_a_token_of_pairs_survives_encoding_and_decoding(low: int, high: int) -> None:
    assert page_tokens.read_pair(page_tokens.pair_token(PAIRS, low, high), PAIRS) == (low, high)


def test_a_token_of_other_pairs_is_refused_with_the_parameters_that_must_be_the_same() -> None:
    token = page_tokens.pair_token(PAIRS, 1, 2)
    for others in (
        {"collection_id": "a"},
        {"max_distance": None},
        {"max_distance": 0.4},
        {"include_dismissed": True},
    ):
        with pytest.raises(OptionInvalid, match="the same collection_id, max_distance and include_dismissed"):
            page_tokens.read_pair(token, dataclasses.replace(PAIRS, **others))


def test_no_token_is_the_first_page() -> None:
    assert page_tokens.read_pair("", PAIRS) == (0, 0)
    assert page_tokens.read_person("", "default", ALL) == ""
    assert page_tokens.read_face("", "default", "ann", "") is None


def test_a_token_of_another_list_is_refused() -> None:
    of_people, of_faces = (
        page_tokens.person_token("a", person("ann"), ALL),
        page_tokens.face_token("a", "ann", "", face("ann")),
    )
    of_labels = Selection(filter=PersonFilter({"a": ("b",)}))
    for token, collection_id, selection in (
        (of_people, "b", ALL),
        (of_faces, "a", ALL),
        (of_people, "a", Selection("an")),
        (of_people, "a", Selection(name_prefix="an")),
        (of_people, "a", Selection(query="an")),
        (of_people, "a", of_labels),
        (
            page_tokens.person_token("a", person("ann"), of_labels),
            "a",
            Selection(filter=PersonFilter({"a": ("c",)})),
        ),
    ):
        with pytest.raises(OptionInvalid):
            page_tokens.read_person(token, collection_id, selection)
    for token, collection_id, person_id, reference in (
        (of_people, "a", "ann", ""),
        (of_faces, "b", "ann", ""),
        (of_faces, "a", "x", ""),
        (of_faces, "a", "ann", "x"),
    ):
        with pytest.raises(OptionInvalid):
            page_tokens.read_face(token, collection_id, person_id, reference)


@given(st.text(min_size=1) | st.binary(min_size=1).map(lambda raw: raw.hex()))
def test_any_other_text_is_refused_by_its_field(text: str) -> None:
    with pytest.raises(OptionInvalid) as caught:
        page_tokens.read_person(text, "default", ALL)
    assert caught.value.field == "page_token"
    with pytest.raises(OptionInvalid):
        page_tokens.read_face(text, "default", "ann", "")
    with pytest.raises(OptionInvalid):
        page_tokens.read_pair(text, PAIRS)


@given(st.binary(max_size=40))
def test_any_key_after_a_valid_token_head_is_read_or_refused(key: bytes) -> None:
    """A token's head can be copied from a true one, so what follows it is anybody's."""
    people = page_tokens._encode(page_tokens._scope("persons", "default"), key)
    faces = page_tokens._encode(page_tokens._scope("faces", "default", "ann"), key)
    pairs = page_tokens._encode(PAIRS.scope, key)
    for read in (
        lambda: page_tokens.read_person(people, "default", ALL),
        lambda: page_tokens.read_face(faces, "default", "ann", ""),
        lambda: page_tokens.read_pair(pairs, PAIRS),
    ):
        try:
            read()
        except OptionInvalid as error:
            assert error.field == "page_token"
