"""What is wrong with a request is named in CompreFace's form of errors."""

from typing import Any

import pytest

from tests.e2e.gateway import http
from tests.e2e.gateway.compreface.calling import KEY, RECOGNITION, call, refusal
from tests.fixtures.gateway import StartGateway
from tests.fixtures.matcher import NOWHERE

NO_EXAMPLE = "00000000-0000-4000-8000-000000000000"


@pytest.mark.parametrize(
    ("verb", "path", "document", "expected"),
    [
        ("POST", f"{RECOGNITION}/faces?subject=x", {"file": "no base64!"}, (400, 21)),
        ("POST", f"{RECOGNITION}/faces?subject=x", {}, (400, 5)),
        ("POST", f"{RECOGNITION}/faces?subject=x", [], (400, 36)),
        ("POST", f"{RECOGNITION}/faces?subject=x", None, (400, 34)),
        ("POST", f"{RECOGNITION}/faces", {"file": "eA=="}, (400, 33)),
        ("POST", f"{RECOGNITION}/faces?subject=%20", {"file": "eA=="}, (400, 26)),
        ("POST", f"{RECOGNITION}/faces?subject=x%00", {"file": "eA=="}, (400, 26)),
        ("POST", f"{RECOGNITION}/faces?subject=%ff", {"file": "eA=="}, (400, 36)),
        ("POST", f"{RECOGNITION}/faces?subject=a&subject=b", {"file": "eA=="}, (400, 36)),
        ("POST", f"{RECOGNITION}/subjects", {"subject": ""}, (400, 26)),
        ("POST", f"{RECOGNITION}/subjects", {"subject": "\ud800"}, (400, 26)),
        ("POST", f"{RECOGNITION}/subjects", {"subject": " x"}, (400, 26)),
        ("POST", f"{RECOGNITION}/subjects", {"subject": "x" * 129}, (400, 26)),
        ("POST", f"{RECOGNITION}/subjects", {"subject": 5}, (400, 26)),
        ("PUT", f"{RECOGNITION}/subjects/%ff", {"subject": "x"}, (400, 36)),
        ("DELETE", f"{RECOGNITION}/faces/no-uuid", None, (400, 36)),
        ("DELETE", f"{RECOGNITION}/faces?subjects=x", None, (400, 36)),
        ("DELETE", f"{RECOGNITION}/faces?subject=x&y", None, (400, 36)),
        ("DELETE", f"{RECOGNITION}/faces", {"subject": "x"}, (400, 36)),
        ("DELETE", f"{RECOGNITION}/subjects?subject=x", None, (400, 36)),
        ("DELETE", f"{RECOGNITION}/subjects", {}, (400, 36)),
        ("POST", f"{RECOGNITION}/faces/delete", {"ids": []}, (400, 36)),
        ("POST", f"{RECOGNITION}/faces/delete", [NO_EXAMPLE, "x"], (400, 36)),
        ("POST", f"{RECOGNITION}/faces/{NO_EXAMPLE}/verify", {"file": "eA=="}, (404, 44)),
        ("GET", f"{RECOGNITION}/faces/{NO_EXAMPLE}/img", None, (404, 11)),
        ("GET", f"/api/v1/static/any/images/{NO_EXAMPLE}", None, (404, 11)),
        ("GET", f"{RECOGNITION}/faces?page=-1", None, (400, 26)),
        ("GET", f"{RECOGNITION}/faces?size=ten", None, (400, 36)),
        ("POST", f"{RECOGNITION}/recognize?limit=-1", {"file": "eA=="}, (400, 26)),
        ("POST", f"{RECOGNITION}/recognize?prediction_count=0", {"file": "eA=="}, (400, 26)),
        ("POST", f"{RECOGNITION}/recognize?prediction_count=101", {"file": "eA=="}, (400, 26)),
        ("POST", f"{RECOGNITION}/recognize?det_prob_threshold=nan", {"file": "eA=="}, (400, 36)),
        ("POST", f"{RECOGNITION}/recognize?status=maybe", {"file": "eA=="}, (400, 36)),
        ("POST", f"{RECOGNITION}/recognize?detect_faces=false", {"file": "eA=="}, (400, 36)),
        ("PATCH", f"{RECOGNITION}/subjects", None, (404, 0)),
        ("GET", f"{RECOGNITION}/faces/../subjects", None, (404, 0)),
        ("GET", f"{RECOGNITION}//subjects", None, (404, 0)),
        ("GET", "/api/v1/", None, (404, 0)),
    ],
)
def test_what_is_wrong_is_refused_in_compreface_s_form(
    server: str, verb: str, path: str, document: Any, expected: tuple[int, int]
) -> None:
    assert refusal(call(server, verb, path, document)) == expected


@pytest.mark.parametrize(
    ("body", "kind", "code"),
    [
        (b"", "multipart/form-data; boundary=x", 36),
        (
            b"--x\r\nContent-Disposition: form-data; name=file; filename=a\r\n\r\ncut",
            "multipart/form-data; boundary=x",
            36,
        ),
        (b"{", "application/json", 36),
        (b"[" * 100_001, "application/json", 36),
        (b"x", "text/plain", 0),
    ],
)
def test_a_body_that_is_incomplete_or_of_another_kind_is_refused(
    server: str, body: bytes, kind: str, code: int
) -> None:
    answer = http.send(
        server,
        "POST",
        f"{RECOGNITION}/recognize",
        body,
        {**KEY, "content-type": kind, "content-length": str(len(body))},
    )
    assert refusal(answer) == (400, code)


def test_a_body_beyond_the_limit_is_refused_before_it_is_read(server: str) -> None:
    headers = {**KEY, **http.JSON, "content-length": str(10**9)}
    assert refusal(http.send(server, "POST", f"{RECOGNITION}/recognize", b"{", headers)) == (400, 36)


def test_without_a_service_the_answer_says_so(start_gateway: StartGateway) -> None:
    gateway = start_gateway(NOWHERE, NOWHERE, "--compreface-paths")
    answer = call(gateway.address, "GET", f"{RECOGNITION}/subjects")
    assert refusal(answer) == (503, 41)
    assert answer.headers["retry-after"] == "1"


def test_without_the_setting_there_are_no_such_paths(gateway: str) -> None:
    assert call(gateway, "GET", f"{RECOGNITION}/subjects").status == 404
