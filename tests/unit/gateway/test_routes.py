"""The short paths: every unary method has one, named as Google's API improvement proposals (AIPs) name it."""

import re

import pytest
from google.protobuf.descriptor import FieldDescriptor

from facerec.gateway.methods import METHODS
from facerec.gateway.short_paths.routes import PHOTOS, ROUTES, Route, find
from tests.fixtures.process import ROOT

VERBS = {"Get": "GET", "List": "GET", "BatchGet": "GET", "Update": "PATCH", "Delete": "DELETE"}
ROW = re.compile(r"^\| `(GET|POST|PATCH|DELETE) (/v1/[^`]*)` \| (\w+)", re.MULTILINE)


def named(route: Route) -> str:
    return f"{route.verb} {route.path}"


def test_every_unary_method_has_a_short_path_and_no_stream_has() -> None:
    unary = {path for path, method in METHODS.items() if method.kind == "unary_unary"}
    assert {route.method.path for route in ROUTES} == unary
    assert set(PHOTOS) <= {route.method.name for route in ROUTES}


@pytest.mark.parametrize("route", ROUTES, ids=named)
def test_the_verb_is_what_the_method_does_and_the_path_names_texts_of_the_request(route: Route) -> None:
    kind = re.match(r"(?:Batch)?[A-Z][a-z]+", route.method.name)
    assert kind is not None
    assert route.verb == VERBS.get(kind[0], "POST")
    assert route.has_body == (route.verb in ("POST", "PATCH"))
    for name in re.findall(r"\{(\w+)\}", route.path):
        field = route.method.request.DESCRIPTOR.fields_by_name[name]
        assert (field.type, field.is_repeated) == (FieldDescriptor.TYPE_STRING, False)


def test_a_path_leads_to_one_method_by_a_verb() -> None:
    for route in ROUTES:
        path = re.sub(r"\{\w+\}", "x", route.path)
        found = [each for each in ROUTES if each.verb == route.verb and each.match(path) is not None]
        assert found == [route]


@pytest.mark.parametrize(
    ("verb", "path", "name", "fields"),
    [
        ("GET", "/v1/persons/a:rename", "GetPerson", {"person_id": "a:rename"}),
        ("POST", "/v1/persons/a:b:rename", "RenamePerson", {"person_id": "a:b"}),
        ("POST", "/v1/persons/a%3Arename:merge", "MergePersons", {"source_person_id": "a%3Arename"}),
        ("GET", "/v1/persons/a%2Ffaces", "GetPerson", {"person_id": "a%2Ffaces"}),
        ("GET", "/v1/persons/a/faces", "ListFaces", {"person_id": "a"}),
        ("GET", "/v1/faces", "ListFaces", {}),
    ],
)
def test_an_id_may_look_like_part_of_a_path(verb: str, path: str, name: str, fields: dict[str, str]) -> None:
    route, found = find(verb, path)
    assert route is not None
    assert (route.method.name, found) == (name, fields)


@pytest.mark.parametrize(
    "path", ["/v1/persons/", "/v1/persons/a/b", "/v1/persons/a%3Arename", "/v1/personsX"]
)
def test_another_path_leads_nowhere(path: str) -> None:
    assert find("POST", path)[0] is None


def test_the_guide_lists_them_all() -> None:
    rows = ROW.findall((ROOT / "docs" / "http.md").read_text())
    assert sorted(rows) == sorted((route.verb, route.path, route.method.name) for route in ROUTES)
