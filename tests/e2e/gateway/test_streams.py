"""Streams of Connect in both directions, and calls of gRPC-Web, over real services."""

import json
import socket
import struct
from base64 import b64decode
from pathlib import Path
from typing import Any

from google.protobuf.json_format import Parse
from google.rpc import error_details_pb2, status_pb2

from facerec.client import EncoderClient
from facerec.encoder.v1 import encoder_pb2 as encoder_pb
from facerec.matcher.v1 import matcher_pb2 as pb
from tests.e2e.gateway import http
from tests.e2e.gateway.connect_stub import envelope, envelopes
from tests.fixtures.waiting import LIMIT_SECONDS

STREAM = "/facerec.encoder.v1.EncoderService/EncodeStream"
IMPORT = "/facerec.matcher.v1.MatcherService/ImportFaces"
VERIFY = "/facerec.matcher.v1.MatcherService/Verify"


def items(photos: dict[str, bytes]) -> list[encoder_pb.EncodeStreamRequest]:
    return [
        encoder_pb.EncodeStreamRequest(item_id=name, request=encoder_pb.EncodeRequest(image=photo))
        for name, photo in photos.items()
    ]


def test_a_stream_of_photos_is_answered_by_a_stream_of_faces(
    gateway: str, encoder_address: str, sample_photos: Path
) -> None:
    photos = {name: (sample_photos / f"{name}.jpg").read_bytes() for name in ("obama", "biden")}
    with EncoderClient(encoder_address) as encoder:
        expected = {name: encoder.encode(photo).faces[0].encoding for name, photo in photos.items()}
    body = b"".join(envelope(item.SerializeToString()) for item in [*items(photos), *items({"bad": b"x"})])
    answer = http.send(gateway, "POST", STREAM, body, {"content-type": "application/connect+proto"})
    messages, end = envelopes(answer.body)
    assert end == {}
    found = {each.item_id: each for each in map(encoder_pb.EncodeStreamResponse.FromString, messages)}
    assert found["bad"].error.reason == "IMAGE_INVALID"
    for name, encoding in expected.items():
        assert list(found[name].response.faces[0].encoding.values) == encoding.values.tolist()


def test_an_answer_comes_before_the_stream_of_requests_has_ended(gateway: str, sample_photos: Path) -> None:
    [item] = items({"obama": (sample_photos / "obama.jpg").read_bytes()})
    host, _, port = gateway.rpartition(":")
    with socket.create_connection((host, int(port)), LIMIT_SECONDS) as connection:
        head = f"POST {STREAM} HTTP/1.1\r\nHost: {gateway}\r\nContent-Type: application/connect+proto\r\n"
        connection.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
        sent = envelope(item.SerializeToString())
        connection.sendall(f"{len(sent):x}\r\n".encode() + sent + b"\r\n")
        found = b""
        while b"obama" not in found:
            found += connection.recv(65536)
    # The connection was closed in the middle of the stream; the next call finds the gateway well.
    assert http.send(gateway, "GET", "/ready").json["ready"] is True


def test_a_stream_ends_with_the_error_of_its_service_or_of_an_invalid_message(gateway: str) -> None:
    headers = {"content-type": "application/connect+json"}
    for body, reason in (
        (envelope(b'{"header": {"importId": "", "space": ""}}'), "ENCODING_INVALID"),
        (envelope(b'{"unknown": 1}'), "OPTION_INVALID"),
    ):
        answer = http.send(gateway, "POST", IMPORT, body, headers)
        assert answer.status == 200
        messages, end = envelopes(answer.body)
        assert not messages
        [info] = [each for each in end["error"]["details"] if each["type"] == "google.rpc.ErrorInfo"]
        assert info["debug"]["reason"] == reason, end
    for body in (b"\x00\x00", envelope(b"{}", flags=1), b"\x00\xff\xff\xff\xff"):
        _, end = envelopes(http.send(gateway, "POST", IMPORT, body, headers).body)
        assert end["error"]["code"] in ("invalid_argument", "internal", "resource_exhausted")


def test_grpc_web_gets_answers_and_errors_with_their_details(gateway: str) -> None:
    person = f"web-{id(object())}"
    probe: Any = {"encoding": {"values": [0.1] * 128, "space": "dlib-resnet-v1/small/150x0.25"}}
    enrolled = http.post(gateway, "/v1/enroll", {"personId": person, "items": [{"probe": probe}]})
    assert enrolled.status == 200, enrolled
    claim = Parse(json.dumps({"personId": person, "probe": probe}), pb.VerifyRequest())
    answer, trailers = web_call(gateway, claim)
    assert pb.VerifyResponse.FromString(answer).match
    assert trailers["grpc-status"] == "0"
    claim.person_id = "nobody"
    answer, trailers = web_call(gateway, claim)
    assert (answer, trailers["grpc-status"]) == (b"", "5")
    status = status_pb2.Status.FromString(b64decode(trailers["grpc-status-details-bin"] + "==="))
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert info.reason == "PERSON_NOT_FOUND"
    assert http.send(gateway, "DELETE", f"/v1/persons/{person}").status == 200


def web_call(gateway: str, claim: Any) -> tuple[bytes, dict[str, str]]:
    """The answer and the trailers of a call of gRPC-Web."""
    body = envelope(claim.SerializeToString())
    found = http.send(gateway, "POST", VERIFY, body, {"content-type": "application/grpc-web+proto"})
    assert found.status == 200
    answer, rest = b"", found.body
    while rest:
        flags, size = struct.unpack(">BI", rest[:5])
        data, rest = rest[5 : 5 + size], rest[5 + size :]
        if flags & 0x80:
            pairs = (line.split(": ", 1) for line in data.decode().split("\r\n") if line)
            return answer, {name.lower(): value for name, value in pairs}
        answer += data
    raise AssertionError("no trailers")
