"""Calls of CompreFace's paths, as its users make them."""

import json
from typing import Any
from urllib.parse import quote

from tests.e2e.gateway import http

KEY = {"x-api-key": "any"}
RECOGNITION = "/api/v1/recognition"


def call(server: str, verb: str, path: str, document: Any = None) -> http.Answer:
    body = None if document is None else json.dumps(document).encode()
    return http.send(server, verb, path, body, {**KEY, **http.JSON})


def upload(server: str, path: str, **files: bytes) -> http.Answer:
    """Send photos as files of a form."""
    return http.post_form(server, path, list(files.items()), KEY)


def enroll(server: str, subject: str, photo: bytes) -> str:
    """Add an example; returns its image_id."""
    answer = upload(server, f"{RECOGNITION}/faces?subject={quote(subject, safe='')}", file=photo)
    assert (answer.status, answer.json["subject"]) == (201, subject), answer
    return str(answer.json["image_id"])


def refusal(answer: http.Answer) -> tuple[int, int]:
    """The status and the code of an error, which has its message and the request's id too."""
    assert set(answer.json) == {"message", "code"}, answer
    assert answer.json["message"]
    assert answer.headers["x-request-id"]
    return answer.status, answer.json["code"]
