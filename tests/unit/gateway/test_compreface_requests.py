"""Whatever a request of CompreFace's paths has, it is read or refused, and its calls end within its time."""

import asyncio
import contextlib
import json
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from facerec.errors import Reason
from facerec.gateway import exchange
from facerec.gateway.compreface import asked, refusals, routes
from facerec.gateway.compreface.calls import Calls
from facerec.gateway.compreface.refusals import Refused
from facerec.gateway.compreface.site import CompreFaceSite
from facerec.gateway.exchange import Exchange
from facerec.gateway.failures import Failed
from facerec.serving.fairness.byte_budget import FairByteBudget

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda each: st.lists(each, max_size=3) | st.dictionaries(st.text(max_size=4), each, max_size=3),
    max_leaves=8,
)
PARAMETERS = st.sampled_from(["subject", "limit", "status", "det_prob_threshold", "file"])
QUERIES = st.lists(st.tuples(PARAMETERS, st.text("a1%0.-+&=\x00é", max_size=6)), max_size=4)


def begin() -> None:
    exchange.begin(Exchange([], None, FairByteBudget(1), FairByteBudget(1)))


def use(found: asked.Asked) -> None:
    """Read everything that a handler may."""
    uses: list[Any] = [
        found.subject,
        found.image_id,
        lambda: found.whole("limit", 0, 0, 100),
        lambda: found.share("det_prob_threshold"),
        lambda: found.truth("status", default=False),
        lambda: found.photo("file"),
        lambda: asked.named(found.field("subject")),
        lambda: asked.example_id(found.field("subject")),
    ]
    for each in uses:
        with contextlib.suppress(Refused):
            each()


@given(QUERIES, JSON, st.text("a%2Fé.\x00-", max_size=8))
def test_a_request_is_read_or_refused(query: list[tuple[str, str]], document: Any, in_path: str) -> None:
    begin()
    sent = "&".join(f"{name}={text}" for name, text in query).encode("ascii", "replace")
    body = json.dumps({"file": document, "subject": document}).encode()
    with contextlib.suppress(Refused, Failed):
        use(asked.read({"image_id": in_path}, sent, "application/json", body))


@given(st.binary(max_size=40), st.sampled_from(["application/json", "multipart/form-data; boundary=x", ""]))
def test_other_bytes_are_refused(body: bytes, kind: str) -> None:
    begin()
    with contextlib.suppress(Refused, Failed):
        use(asked.read({"image_id": "x"}, body, kind, body))


@given(st.text("/abc%2.?", max_size=30))
def test_a_path_has_one_route_or_none(path: str) -> None:
    for verb in ("GET", "POST", "PUT", "DELETE", "PATCH"):
        routes.find(verb, routes.PREFIX + path)


class Slow:
    """Takes a while for each call, and notes the time that it was given."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def unary(self, method: Any, data: bytes, timeout_seconds: float) -> bytes:
        self.seconds.append(timeout_seconds)
        await asyncio.sleep(0.02)
        return b""


async def test_all_calls_of_a_request_have_its_time_together() -> None:
    begin()
    slow = Slow()
    calls = Calls(slow, 0.05)  # type: ignore[arg-type]
    with pytest.raises(Failed) as failed:
        while True:
            await calls.call("GetPerson", person_id="ann")
    assert failed.value.reason == Reason.DEADLINE_EXCEEDED
    assert refusals.from_failure(failed.value).http_status == 504
    assert slow.seconds == sorted(slow.seconds, reverse=True)
    assert 0 < slow.seconds[-1] < slow.seconds[0] <= 0.05


async def test_names_that_are_collected_count_as_bytes_of_the_answer() -> None:
    begin()
    calls = Calls(Slow(), 1.0)  # type: ignore[arg-type]
    with pytest.raises(Failed) as failed:
        calls.hold(100_000)
    assert failed.value.reason == Reason.OVERLOADED


class Broken:
    """A forwarder that fails as nothing should."""

    async def unary(self, method: Any, data: bytes, timeout_seconds: float) -> bytes:
        raise RuntimeError("Ann")


class Body:
    """The body of a request without one."""

    def check(self) -> None:
        pass


class Sent:
    """Notes what is answered."""

    async def send_all(self, http_status: int, body: bytes) -> None:
        self.http_status, self.body = http_status, json.loads(body)


async def test_an_unexpected_error_has_the_form_too_and_the_log_has_neither_name_nor_key() -> None:
    headers = [(b"x-api-key", b"secret")]
    current = Exchange(headers, None, FairByteBudget(1), FairByteBudget(1))
    exchange.begin(current)
    scope = {"method": "DELETE", "raw_path": b"/api/v1/recognition/subjects/Ann", "query_string": b""}
    scope["path"] = "/api/v1/recognition/subjects/Ann"
    site = CompreFaceSite(Broken(), "default", 1.0)  # type: ignore[arg-type]
    sent = Sent()
    assert site.takes(scope, current)
    with structlog.testing.capture_logs() as logged:
        await site.answer(scope, Body(), sent, current)  # type: ignore[arg-type]
    assert (sent.http_status, sent.body["code"], current.code) == (500, 0, "INTERNAL")
    assert logged[0]["event"] == "internal_error"
    assert not any(secret in json.dumps([logged, sent.body]) for secret in ("Ann", "secret"))
