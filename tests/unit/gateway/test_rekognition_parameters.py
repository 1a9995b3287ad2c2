"""Parameters of Rekognition's calls: of the right kind and range, each known, or refused by name."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from facerec.gateway.rekognition.errors import Refused
from facerec.gateway.rekognition.parameters import Parameters


def of(**found: Any) -> Parameters:
    return Parameters(json.dumps(found).encode())


Read = Callable[[Parameters], Any]


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (1, lambda each: each.text("P")),
        ("", lambda each: each.text("P")),
        ("\ud800", lambda each: each.text("P")),
        (["a"], lambda each: each.optional_text("P")),
        ("1", lambda each: each.whole("P", default=1, least=1, most=10)),
        (1.5, lambda each: each.whole("P", default=1, least=1, most=10)),
        (True, lambda each: each.whole("P", default=1, least=1, most=10)),
        (0, lambda each: each.whole("P", default=1, least=1, most=10)),
        (11, lambda each: each.whole("P", default=1, least=1, most=10)),
        (-0.1, lambda each: each.percent("P", 80)),
        (100.1, lambda each: each.percent("P", 80)),
        (10**400, lambda each: each.percent("P", 80)),
        (True, lambda each: each.percent("P", 80)),
        ("b", lambda each: each.choice("P", ("a",), "a")),
        (1, lambda each: each.choice("P", ("a",), "a")),
        (["b"], lambda each: each.choices("P", ("a",))),
        ("a", lambda each: each.choices("P", ("a",))),
        ([[]], lambda each: each.choices("P", ("a",))),
        ("a", lambda each: each.texts("P", most=2)),
        ([1], lambda each: each.texts("P", most=2)),
        ([""], lambda each: each.texts("P", most=2)),
        (["a", "b", "c"], lambda each: each.texts("P", most=2)),
        ({}, lambda each: each.image("P")),
        ("x", lambda each: each.image("P")),
        ({"Bytes": ""}, lambda each: each.image("P")),
        ({"Bytes": "no base64!"}, lambda each: each.image("P")),
        ({"Bytes": 1}, lambda each: each.image("P")),
        ({"Bytes": "AAAA", "More": 1}, lambda each: each.image("P")),
        ({"a": "b"}, lambda each: each.refuse_if_given("P", "no")),
        (1, lambda each: each.end()),
    ],
)
def test_a_parameter_of_another_kind_or_range_is_refused_by_name(value: Any, read: Read) -> None:
    with pytest.raises(Refused) as caught:
        read(of(P=value))
    assert caught.value.name == "InvalidParameterException"
    assert caught.value.message.startswith("P")


def test_parameters_that_are_not_given_or_null_have_their_defaults() -> None:
    for found in (of(), of(P=None)):
        assert found.optional_text("P") == ""
        assert found.whole("P", default=7, least=1, most=10) == 7
        assert found.percent("P", 80) == 80
        assert found.choice("P", ("a",), "a") == "a"
        assert (found.choices("P", ("a",)), found.texts("P", most=1)) == ([], [])
        found.refuse_if_given("P", "no")
        found.end()
    with pytest.raises(Refused, match="P must be given"):
        of(P=None).text("P")


def test_ids_are_taken_once_each_and_an_image_in_s3_is_refused_as_such() -> None:
    assert of(P=["a", "b", "a"]).texts("P", most=3) == ["a", "b"]
    assert of(P={"Bytes": "AAAA"}).image("P") == b"\0\0\0"
    with pytest.raises(Refused) as caught:
        of(P={"S3Object": {"Bucket": "photos"}}).image("P")
    assert caught.value.name == "InvalidS3ObjectException"


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (b"{", "SerializationException"),
        (b"[]", "SerializationException"),
        (b"\xff", "SerializationException"),
        (b'{"P": NaN}', "SerializationException"),
        (b'{"P": ' + b"9" * 5000 + b"}", "SerializationException"),
        (b'{"P": ' + b"[" * 90_000 + b"]" * 90_000 + b"}", "SerializationException"),
        (b'{"P": [' + b"[]," * 60_000 + b"1]}", "InvalidParameterException"),
    ],
)
def test_a_body_that_is_no_small_json_object_is_refused(body: bytes, name: str) -> None:
    with pytest.raises(Refused) as caught:
        Parameters(body)
    assert caught.value.name == name
