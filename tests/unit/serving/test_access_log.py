"""The access log writes lines in batches, each with the time of its call."""

import datetime
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from facerec.serving.middleware import call
from facerec.serving.observability import access_log, logs
from facerec.serving.observability.access_log import MAX_PENDING, AccessLog
from tests.fixtures.waiting import until


@pytest.fixture(autouse=True)
def settings_kept() -> Iterator[None]:
    kept, root = structlog.get_config(), logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.configure(**kept)
    root.handlers[:] = handlers
    root.setLevel(level)


def written(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def some_call(request_id: str) -> call.Call:
    return call.Call([(call.REQUEST_ID, request_id)])


async def test_lines_are_written_later_with_the_time_of_their_call(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.configure("info", "json")
    log = AccessLog()
    before = datetime.datetime.now(datetime.UTC)
    log.add("Verify", "OK", 0.00123456, some_call("first"))
    after = datetime.datetime.now(datetime.UTC)
    failed = some_call("second")
    failed.reason = "PERSON_NOT_FOUND"
    log.add("Verify", "NOT_FOUND", 0.5, failed)
    assert written(capsys) == []
    lines: list[dict[str, object]] = []

    def come() -> bool:
        lines.extend(written(capsys))
        return bool(lines)

    await until(come)
    first, second = lines
    assert before <= datetime.datetime.fromisoformat(str(first.pop("timestamp"))) <= after
    assert first == {
        "event": "call", "level": "info", "logger": "facerec.serving.observability.access_log",
        "method": "Verify", "code": "OK", "seconds": 0.0012, "caller": "", "request_id": "first",
    }  # fmt: skip
    assert (second["request_id"], second["reason"]) == ("second", "PERSON_NOT_FOUND")


async def test_a_flood_of_lines_does_not_wait(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", "json")
    log = AccessLog()
    for number in range(MAX_PENDING):
        log.add("Verify", "OK", 0.001, some_call(str(number)))
    assert [line["request_id"] for line in written(capsys)] == [str(n) for n in range(MAX_PENDING)]


async def test_waiting_lines_are_written_at_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", "json")
    log = AccessLog()
    log.add("Verify", "OK", 0.001, some_call("last"))
    log.flush()
    assert [line["request_id"] for line in written(capsys)] == ["last"]
    log.flush()
    assert written(capsys) == []


async def test_no_line_is_written_below_the_level_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("warning", "json")
    log = AccessLog()
    log.add("Verify", "OK", 0.001, some_call("one"))
    log.flush()
    assert written(capsys) == []


async def test_lines_in_console_format_are_text(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", "console")
    log = AccessLog()
    log.add("Verify", "OK", 0.001, some_call("one"))
    log.flush()
    assert "Verify" in capsys.readouterr().err


def test_an_id_is_the_callers_or_a_new_one() -> None:
    assert some_call("from-the-door.7").request_id == "from-the-door.7"
    for odd in ("", "has spaces", "x" * 65, "line\nbreak"):
        made = some_call(odd)
        assert made.request_id != odd
        assert made.request_id == made.request_id
        assert len(made.request_id) == 16
    assert len({call.Call(()).request_id for _ in range(1000)}) == 1000


async def test_calls_without_a_known_key_have_one_line_a_second_and_a_count(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.configure("info", "json")
    log = AccessLog()
    for number in range(1000):
        refused = some_call(str(number))
        refused.reason = "KEY_UNKNOWN" if number % 4 else "KEY_MISSING"
        log.add("Verify", "UNAUTHENTICATED", 0.001, refused)
    log.add("Verify", "OK", 0.001, some_call("known"))
    log.close()
    *calls, missing, unknown = written(capsys)
    assert [line["request_id"] for line in calls] == ["0", "1", "known"]
    for line, reason, count in ((missing, "KEY_MISSING", 249), (unknown, "KEY_UNKNOWN", 749)):
        assert (line["event"], line["reason"], line["calls"]) == ("calls_refused", reason, count)
        assert (line["method"], line["code"]) == ("Verify", "UNAUTHENTICATED")


async def test_the_count_is_written_when_the_second_is_over(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access_log, "REFUSED_SECONDS", 0.05)
    logs.configure("info", "json")
    log = AccessLog()
    lines: list[dict[str, object]] = []
    for _ in range(2):
        refused = some_call("x")
        refused.reason = "KEY_MISSING"
        log.add("Verify", "UNAUTHENTICATED", 0.001, refused)

    def logged() -> bool:
        lines.extend(written(capsys))
        return "calls_refused" in [line["event"] for line in lines]

    await until(logged)
    assert lines[-1]["calls"] == 1
