"""A request id is in every line of its call, in both services; no person, face or key is in any."""

import contextlib
import itertools
import json
import re
import urllib.request
from collections.abc import Callable
from pathlib import Path

import grpc

from facerec.client import EncoderClient, MatcherClient, Security
from facerec.errors import FacerecError
from facerec.matcher.v1 import GetPersonRequest, MatcherServiceStub
from tests.e2e.access.conftest import entry
from tests.fixtures.encoder import EncoderProcess
from tests.fixtures.matcher import MatcherProcess
from tests.fixtures.process import ServiceProcess

KEY = "fr_a-key-that-nobody-may-see"
READER = "fr_another-key-that-nobody-may-see"
PERSON = "a very particular person"


def metrics(process: ServiceProcess) -> str:
    with urllib.request.urlopen(f"http://{process.event('listening')['admin']}/metrics") as answer:
        return str(answer.read().decode())


def digits(value: float, count: int) -> str:
    """The first ``count`` significant digits of a value in plain notation: what a text that holds it has."""
    plain = f"{abs(value):.30f}"
    leading = len(plain) - len(plain.lstrip("0."))
    return plain[: leading + count]


def ask_for_nobody(address: str, request_id: str) -> None:
    """Under a request id that the client would not send."""
    metadata = (("authorization", f"Bearer {KEY}"), ("x-request-id", request_id))
    with grpc.insecure_channel(address) as channel, contextlib.suppress(grpc.RpcError):
        MatcherServiceStub(channel).GetPerson(GetPersonRequest(person_id="nobody"), metadata=metadata)


def test_calls_are_logged_by_id_and_logs_and_metrics_name_no_person(
    database_url: str, model_cache: Path, sample_photos: Path, keys_file: Callable[..., Path]
) -> None:
    photo = (sample_photos / "obama.jpg").read_bytes()
    other = (sample_photos / "obama2.jpg").read_bytes()
    flags = ("--log-calls", "all", "--log-level", "debug", "--admin-address", "127.0.0.1:0")
    entries = entry("door-7", KEY, ["admin"]), entry("reader-1", READER, ["verify"])
    locked = ("--keys-file", str(keys_file(*entries)))
    encoder = EncoderProcess(*flags, *locked, cache=model_cache)
    matcher = MatcherProcess(
        database_url, *flags, *locked, "--encoder-address", encoder.address, "--encoder-api-key", KEY
    )
    security = Security(api_key=KEY)
    try:
        encoder.event("serving")
        matcher.event("database_ready")
        with EncoderClient(encoder.address, security=security) as client_of_encoder:
            face = client_of_encoder.encode(photo).faces[0].encoding
        with MatcherClient(matcher.address, security=security) as client:
            asked = client.with_options(request_id="from-the-door.7")
            asked.enroll(PERSON, photo, display_name="Particular")
            distance = asked.verify(PERSON, other).distance
            stored = [each.face_id for each in client.list_faces(PERSON)]
            client.identify(face, max_distance=1.0)
            client.compare(face, stored[0])
            for odd in ("has spaces", "x" * 65):
                ask_for_nobody(matcher.address, odd)
            with (
                contextlib.suppress(FacerecError),
                MatcherClient(matcher.address, security=Security(api_key=KEY[:-1])) as unknown,
            ):
                unknown.get_person(PERSON)
            with (
                contextlib.suppress(FacerecError),
                MatcherClient(matcher.address, security=Security(api_key=READER)) as reader,
            ):
                reader.delete_person(PERSON)
            client.delete_person(PERSON)
        exposed = metrics(matcher) + metrics(encoder)
    finally:
        matcher.stop()
        encoder.stop()
    lines = [json.loads(line) for line in (*matcher.lines, *encoder.lines) if line.startswith("{")]
    all_calls = [each for each in lines if each["event"] == "call"]
    named = [each for each in all_calls if each["request_id"] == "from-the-door.7"]
    assert sorted((each["method"], each["code"]) for each in named) == [
        ("Encode", "OK"), ("Encode", "OK"), ("Enroll", "OK"), ("Verify", "OK"),
    ]  # fmt: skip
    assert all(each["request_id"] for each in all_calls)
    assert {
        ("GetPerson", "NOT_FOUND", "PERSON_NOT_FOUND", "door-7"),
        ("GetPerson", "UNAUTHENTICATED", "KEY_UNKNOWN", ""),
        ("DeletePerson", "PERMISSION_DENIED", "NOT_PERMITTED", "reader-1"),
    } <= {(each["method"], each["code"], each.get("reason"), each["caller"]) for each in all_calls}
    assert not [each for each in named if "reason" in each]
    # The host is logged only of callers without a known name.
    assert {each["peer"] for each in all_calls if each.get("reason") == "KEY_UNKNOWN"} == {"ipv4:127.0.0.1"}
    assert {each["reason"] for each in all_calls if "peer" in each} == {"KEY_UNKNOWN"}
    assert distance is not None
    secrets = [
        PERSON,
        "particular",
        "Particular",
        "somebody",
        "has spaces",
        "xxxxx",
        KEY,
        KEY[:-1],
        READER,
        *stored,
    ]
    secrets += [digits(distance, 6), *(digits(value, 9) for value in face.values)]
    text = "\n".join((*matcher.lines, *encoder.lines, exposed))
    assert "grpc_server_handled_total" in text
    assert not [secret for secret in secrets if secret in text]
    # Rounded, a number may be in there by chance (some time in seconds begins alike), but not two neighbours
    # in a row.
    rounded = [re.escape(digits(value, 4)) for value in face.values]
    pairs = (rf"{one}\d*[^\d]{{1,20}}{other}" for one, other in itertools.pairwise(rounded))
    assert not [pair for pair in pairs if re.search(pair, text)]
