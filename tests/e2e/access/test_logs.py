"""A request id is in every line of its call, in both services; nothing of a person is in any."""

import json
from pathlib import Path

from facerec.client import EncoderClient, MatcherClient
from facerec.errors import FacerecError
from tests.fixtures.encoder import EncoderProcess
from tests.fixtures.matcher import MatcherProcess


def test_calls_are_logged_by_id_in_both_services(
    database_url: str, model_cache: Path, sample_photos: Path
) -> None:
    photo = (sample_photos / "obama.jpg").read_bytes()
    encoder = EncoderProcess("--log-calls", "all", cache=model_cache)
    matcher = MatcherProcess(database_url, "--log-calls", "all", "--encoder-address", encoder.address)
    try:
        encoder.event("serving")
        matcher.event("database_ready")
        with MatcherClient(matcher.address) as client:
            asked = client.with_options(request_id="from-the-door.7")
            asked.enroll("a very particular person", photo, display_name="Particular")
            asked.verify("a very particular person", photo)
            for odd in ("has spaces", "x" * 65, "a\tb"):
                try:
                    client.with_options(request_id=odd).get_person("somebody who is not there")
                except (FacerecError, ValueError):
                    continue
        with EncoderClient(encoder.address) as client_of_encoder:
            client_of_encoder.encode(photo)
    finally:
        matcher.stop()
        encoder.stop()
    lines = [json.loads(line) for line in (*matcher.lines, *encoder.lines) if line.startswith("{")]
    calls = [(each["method"], each["code"]) for each in lines if each.get("request_id") == "from-the-door.7"]
    assert sorted(calls) == [("Encode", "OK"), ("Encode", "OK"), ("Enroll", "OK"), ("Verify", "OK")]
    all_calls = [each for each in lines if each["event"] == "call"]
    assert all(each["request_id"] for each in all_calls)
    assert ("GetPerson", "NOT_FOUND") in {(each["method"], each["code"]) for each in all_calls}
    text = "\n".join((*matcher.lines, *encoder.lines))
    for secret in ("particular", "Particular", "somebody", "has spaces", "xxxxx"):
        assert secret not in text
