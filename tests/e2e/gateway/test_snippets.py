"""The console's calls as code do what the console's calls do, whatever their texts hold."""

import ast
import base64
import inspect
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from google.protobuf import json_format

from facerec.client import CollectionClient, EncoderClient, MatcherClient
from facerec.errors import FacerecError
from facerec.gateway.methods import METHODS, Method
from tests.e2e.gateway.snippets import CALLS, COLLECTION, DASH_PHOTO, ENROLL, HOSTILE_PHOTO, Call, Writer

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="there is no Node.js")
needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
CLIENTS: Final = {"matcher": MatcherClient, "collections": CollectionClient, "encoder": EncoderClient}
ORIGIN: Final = "https://faces.example:8443"
FAKE_GRPCURL: Final = """#!/bin/sh
for word; do printf '%s\\0' "$word"; done > words
case "$*" in *"-d @"*) cat > data ;; esac
"""


@pytest.fixture(scope="module")
def writer(tmp_path_factory: pytest.TempPathFactory) -> Writer:
    return Writer(tmp_path_factory.mktemp("snippets"))


@pytest.fixture
def photos(tmp_path: Path, sample_photos: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with the photos under names that shells take for something else."""
    shutil.copy(sample_photos / "obama.jpg", tmp_path / HOSTILE_PHOTO)
    shutil.copy(sample_photos / "obama2.jpg", tmp_path / DASH_PHOTO)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def collection(matcher_address: str) -> Iterator[None]:
    """The collection that the calls are about."""
    with CollectionClient(matcher_address) as collections:
        collections.create_collection(COLLECTION)
        yield
        collections.delete_collection(COLLECTION, force=True)


def method_of(call: Call) -> Method:
    service, name = call["method"].split("/")
    [found] = [method for path, method in METHODS.items() if path.endswith(f".{service}/{name}")]
    return found


def run_shell(text: str) -> str:
    done = subprocess.run(["/bin/sh", "-c", text], capture_output=True, text=True, check=False)
    assert done.returncode == 0, (text, done.stderr)
    return done.stdout


def by_curl(text: str) -> tuple[Any, str]:
    """What the gateway answered, and the reason of an error."""
    answer = json.loads(run_shell(text.replace("curl ", "curl -sS ", 1)))
    details = [detail["debug"] for detail in answer.get("details", [])]
    return answer, "".join(debug["reason"] for debug in details if "reason" in debug)


def by_python(text: str) -> tuple[Any, str]:
    """What the client answered, None for an iterator, and the reason of an error."""
    names: dict[str, Any] = {}
    try:
        exec(compile(text, "snippet", "exec"), names)
    except FacerecError as error:
        return None, error.reason.name
    return names.get("answer"), ""


@needs_curl
@pytest.mark.usefixtures("collection")
def test_each_call_has_the_same_outcome_by_curl_and_by_python(
    writer: Writer, gateway: str, matcher_address: str, encoder_address: str, photos: Path
) -> None:
    curls = writer.write(CALLS, "curl", origin=f"http://{gateway}")
    pythons = writer.write(CALLS, "Python", origin="")
    answers: dict[str, tuple[Any, Any]] = {}
    for call, curl, python in zip(CALLS, curls, pythons, strict=True):
        addressed = python.replace("127.0.0.1:50052", matcher_address)
        answer, reason = by_curl(curl)
        returned, python_reason = by_python(addressed.replace("127.0.0.1:50051", encoder_address))
        assert python_reason == reason, (python, answer)
        answers.setdefault(call["method"].split("/")[1], (answer, returned))
        if not reason:
            json_format.ParseDict(answer, method_of(call).response())
    enrolled, again = answers["Enroll"]
    person = enrolled["person"]
    assert again.person.face_count == person["faceCount"] == 2
    for name in ("displayName", "labels", "metadata"):
        assert person[name] == ENROLL["request"][name]
    assert again.person.display_name == person["displayName"]
    assert dict(again.person.metadata) == person["metadata"]
    for method in ("Verify", "Compare"):
        by_http, by_client = answers[method]
        assert by_http["match"] is by_client.match is True
        assert by_http["distance"] == by_client.distance
    [face] = answers["Identify"][0]["faces"]
    assert [each["personId"] for each in face["candidates"]] == [ENROLL["request"]["personId"]]
    settings = answers["UpdateCollection"][1].settings
    assert (settings.retention.days, settings.index_above_faces, settings.exact_only) == (1, 30000, True)
    assert settings.refused_qualities == ("BLURRED", "TOO_DARK")
    assert not (photos / "hacked").exists()


def test_python_calls_methods_of_the_client_with_arguments_that_they_take(writer: Writer) -> None:
    for text in writer.write(CALLS, "Python", origin=""):
        module = ast.parse(text)
        [found] = [
            node
            for node in ast.walk(module)
            if isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and isinstance(node.func.value, ast.Name)
            and node.func.value.id in CLIENTS
        ]
        assert isinstance(found.func, ast.Attribute)
        assert isinstance(found.func.value, ast.Name)
        function = getattr(CLIENTS[found.func.value.id], found.func.attr)
        keywords = {keyword.arg or "": None for keyword in found.keywords}
        inspect.signature(function).bind(None, *found.args, **keywords)


def test_grpcurl_gets_the_request_of_the_contract_with_its_photos(
    writer: Writer, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = photos / "bin" / "grpcurl"
    fake.parent.mkdir()
    fake.write_text(FAKE_GRPCURL)
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake.parent}{os.pathsep}{os.environ['PATH']}")
    for call, text in zip(CALLS, writer.write(CALLS, "grpcurl", origin=""), strict=True):
        run_shell(text)
        words = (photos / "words").read_bytes().decode().split("\0")
        method = method_of(call)
        assert words[-2] == method.path[1:]
        data = (photos / "data").read_text() if call["photos"] else words[words.index("-d") + 1]
        request = json_format.Parse(data, method.request())
        if call["photos"]:
            names = [photo["name"] for photo in call["photos"]]
            sent = images(json.loads(data))
            assert sent == [(photos / name).read_bytes() for name in names]
        for name in ("personId", "displayName", "metadata"):
            assert json_format.MessageToDict(request).get(name) == call["request"].get(name)
    assert not (photos / "hacked").exists()


def images(value: Any) -> list[bytes]:
    """The images of a request in JSON, in their order."""
    if isinstance(value, dict):
        own = [base64.b64decode(value["image"])] if "image" in value else []
        return own + [image for each in value.values() for image in images(each)]
    return [image for each in value for image in images(each)] if isinstance(value, list) else []


def test_typescript_is_a_module_with_the_texts_as_values(writer: Writer, tmp_path: Path) -> None:
    """In place of the package there is one that writes down its calls."""
    modules = {
        "@facerec/client": "export const photo = (name, options) => ({ photo: name, ...options });\n"
        "export const createFacerec = (options) => new Proxy({}, { get: (_, client) => new Proxy({}, {\n"
        "  get: (_, method) => async (request) => { calls.push([options, client, method, request]); },\n"
        "}) });",
        "@facerec/client/matcher": "export const [AuditKind, ScoreRule, DuplicatePolicy, ConsistencyPolicy]\n"
        "  = Array(4).fill(new Proxy({}, { get: (_, name) => name }));",
        "@facerec/client/encoder": "export const QualityReason = new Proxy({}, { get: (_, name) => name });",
        "@bufbuild/protobuf/wkt": "export const timestampFromDate = (date) => date.toISOString();",
        "node:fs/promises": "export const readFile = async (name) => name;",
    }
    texts = writer.write(CALLS, "TypeScript", origin=ORIGIN, keys_required=True)
    for number, (name, text) in enumerate(modules.items()):
        (tmp_path / f"module{number}.mjs").write_text(text)
        texts = [each.replace(f'from "{name}";', f'from "./module{number}.mjs";') for each in texts]
    for number, text in enumerate(texts):
        (tmp_path / f"call{number}.mjs").write_text(text)
    (tmp_path / "all.mjs").write_text(
        "globalThis.calls = [];\nconst print = console.log;\nconsole.log = () => {};\n"
        f"for (let at = 0; at < {len(texts)}; at++) await import(`./call${{at}}.mjs`);\n"
        'print(JSON.stringify(calls, (_, value) => (typeof value === "bigint" ? String(value) : value)));\n'
    )
    done = subprocess.run(
        ["node", "all.mjs"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "FACEREC_API_KEY": "secret"},
    )
    assert done.returncode == 0, done.stderr
    for call, (options, _, method, request) in zip(CALLS, json.loads(done.stdout), strict=True):
        assert options == {"baseUrl": ORIGIN, "apiKey": "secret"}
        name = call["method"].split("/")[1]
        assert method == name[0].lower() + name[1:]
        for field in ("personId", "displayName", "metadata", "labels", "filter", "targetFmr"):
            assert request.get(field) == call["request"].get(field)
    enroll = json.loads(done.stdout)[0][3]
    assert [item["probe"] for item in enroll["items"]] == [
        {"photo": name, "useLargestFace": True} for name in (HOSTILE_PHOTO, DASH_PHOTO)
    ]


@needs_curl
def test_where_keys_are_required_code_reads_the_key_from_a_variable(
    writer: Writer, gateway: str, encoder_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACEREC_API_KEY", "secret")
    model = [call for call in CALLS if call["method"].endswith("GetModel")]
    texts = {
        language: writer.write(model, language, origin=f"http://{gateway}", keys_required=True)[0]
        for language in ("curl", "Python", "grpcurl")
    }
    assert '-H "authorization: Bearer $FACEREC_API_KEY"' in texts["curl"]
    assert '-H "authorization: Bearer $FACEREC_API_KEY"' in texts["grpcurl"]
    answer, _ = by_curl(texts["curl"])
    returned, _ = by_python(texts["Python"].replace("127.0.0.1:50051", encoder_address))
    assert returned.space == answer["space"]
