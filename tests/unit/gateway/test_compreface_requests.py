"""Whatever a request of CompreFace's paths has, it is read or refused, and its calls end within its time."""

import asyncio
import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facerec.errors import Reason
from facerec.gateway import exchange
from facerec.gateway.compreface import asked, refusals, routes
from facerec.gateway.compreface.calls import Calls
from facerec.gateway.compreface.refusals import Refused
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
    assert refusals.reason(failed.value) == Reason.DEADLINE_EXCEEDED
    assert refusals.from_failure(failed.value).http_status == 504
    assert slow.seconds == sorted(slow.seconds, reverse=True)
    assert 0 < slow.seconds[-1] < slow.seconds[0] <= 0.05


async def test_names_that_are_collected_count_as_bytes_of_the_answer() -> None:
    begin()
    calls = Calls(Slow(), 1.0)  # type: ignore[arg-type]
    with pytest.raises(Failed) as failed:
        calls.hold(100_000)
    assert refusals.reason(failed.value) == Reason.OVERLOADED
