"""Whatever a form, a query or JSON has, a request is made of it or refused with a reason."""

import contextlib
import json

from hypothesis import given
from hypothesis import strategies as st

from facerec.gateway import exchange, forms
from facerec.gateway.exchange import Exchange
from facerec.gateway.failures import Failed
from facerec.gateway.short_paths import requests
from facerec.gateway.short_paths.routes import ROUTES, Route, find
from facerec.serving.fairness.byte_budget import FairByteBudget
from tests.e2e.gateway.http import form

POSTED = [route for route in ROUTES if route.has_body]
NAMES = st.sampled_from(
    [
        "image",
        "image_a",
        "person_id",
        "probe.use_largest_face",
        "items.external_ref",
        "options.max_faces",
        "labels",
        "labels.site",
        "labels.",
        "metadata.fields.a",
        "filter.labels.site.values",
        "filter.labels..",
    ]
)
PLAIN = st.text(st.characters(codec="ascii", exclude_characters='"\\\r\n'), min_size=1, max_size=9)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda each: st.lists(each, max_size=3) | st.dictionaries(NAMES | st.text(max_size=4), each, max_size=3),
    max_leaves=8,
)


def begin() -> None:
    """Hypothesis runs examples in the test's own context."""
    exchange.begin(Exchange([], None, FairByteBudget(1), FairByteBudget(1)))


@given(
    st.lists(
        st.tuples(
            st.text(st.characters(codec="ascii", exclude_characters='"\\\r\n'), min_size=1), st.binary()
        ),
        max_size=9,
    )
)
def test_parts_are_read_as_they_were_written(parts: list[tuple[str, bytes]]) -> None:
    begin()
    body, headers = form([(name, value) for name, value in parts])
    if not parts:
        return
    found = forms.parse(body, headers["content-type"])
    assert [(part.name, part.data) for part in found] == parts


@given(st.binary(), st.text(st.characters(codec="ascii"), max_size=30))
def test_other_bytes_are_refused(body: bytes, kind: str) -> None:
    begin()
    with contextlib.suppress(Failed):
        forms.parse(b"--b\r\n" + body, "multipart/form-data; boundary=b")
    with contextlib.suppress(Failed):
        forms.parse(body, kind)


@given(
    st.sampled_from(POSTED),
    st.lists(st.tuples(NAMES | st.text(min_size=1, max_size=9), st.text() | st.binary()), max_size=5),
)
def test_a_form_is_a_request_or_refused(route: Route, parts: list[tuple[str, str | bytes]]) -> None:
    begin()
    body, headers = form(parts)
    with contextlib.suppress(Failed):
        requests.from_form(route, {}, body, headers["content-type"])


@given(st.sampled_from(POSTED), JSON)
def test_json_is_a_request_or_refused(route: Route, value: object) -> None:
    begin()
    with contextlib.suppress(Failed):
        requests.from_json(route, {}, json.dumps(value).encode())


@given(st.binary(max_size=64))
def test_a_query_is_a_request_or_refused(query: bytes) -> None:
    begin()
    route, fields = find("GET", "/v1/persons")
    assert route is not None
    with contextlib.suppress(Failed):
        requests.from_query(route, fields, query)
