"""The admin port of two services that do real work: metrics, liveness, readiness."""

import re
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from facerec.client import EncoderClient, MatcherClient
from facerec.errors import FacerecError
from facerec.serving import readiness_probe
from facerec.serving.server.admin import Admin
from facerec.serving.server.errors import InsecureAddress
from tests.fixtures.encoder import EncoderProcess
from tests.fixtures.matcher import MatcherProcess
from tests.fixtures.waiting import LIMIT_SECONDS, wait_until

ADMIN = ("--admin-address", "127.0.0.1:0")
TYPE = re.compile(r"^# TYPE ((?:facerec|grpc)_\w+) ", re.MULTILINE)
Samples = dict[str, float]


def fetch(address: str, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://{address}{path}", timeout=LIMIT_SECONDS) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def scrape(address: str) -> Samples:
    status, text = fetch(address, "/metrics")
    assert status == 200
    lines = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in lines}


@pytest.fixture(scope="module")
def encoder(model_cache: Path) -> Iterator[EncoderProcess]:
    server = EncoderProcess(*ADMIN, "--lag-report-seconds", "0.2", cache=model_cache)
    server.event("serving")
    yield server
    server.stop()


@pytest.fixture
def matcher(database_url: str, encoder: EncoderProcess) -> Iterator[MatcherProcess]:
    server = MatcherProcess(database_url, *ADMIN, "--encoder-address", encoder.address)
    server.event("database_ready")
    yield server
    server.stop()


def admin(server: EncoderProcess | MatcherProcess) -> str:
    return str(server.event("listening")["admin"])


def counted(samples: Samples, name: str, **labels: str) -> float:
    """The sum of a metric's samples with these labels."""
    wanted = {f'{label}="{value}"' for label, value in labels.items()}
    return sum(
        value
        for sample, value in samples.items()
        if sample.split("{")[0] == name and wanted <= set(re.findall(r'\w+="[^"]*"', sample))
    )


def test_calls_are_counted_by_method_and_code_also_refused_ones(
    encoder: EncoderProcess, matcher: MatcherProcess, sample_photos: Path
) -> None:
    photo = (sample_photos / "obama.jpg").read_bytes()
    with MatcherClient(matcher.address) as client:
        client.enroll("ann", photo)
        assert client.verify("ann", photo).match
        client.identify(photo)
        with pytest.raises(FacerecError):
            client.verify("nobody", photo)
    handled = "grpc_server_handled_total"
    # A call is counted when it has ended, a moment after its answer.
    wait_until(lambda: counted(scrape(admin(matcher)), handled, grpc_code="NOT_FOUND") > 0)
    seen = scrape(admin(matcher))
    assert counted(seen, handled, grpc_method="Enroll", grpc_code="OK") == 1
    assert counted(seen, handled, grpc_method="Verify", grpc_code="OK") == 1
    assert counted(seen, handled, grpc_method="Verify", grpc_code="NOT_FOUND") == 1
    assert counted(seen, "grpc_server_handling_seconds_count", grpc_method="Verify") == 2
    assert counted(seen, "facerec_matcher_searches_total", mode="exact") == 1
    assert counted(seen, "facerec_matcher_stage_seconds_count", stage="encoder") == 4
    assert counted(seen, "facerec_matcher_stage_seconds_count", stage="database") >= 5
    assert counted(seen, "facerec_matcher_connections", pool="calls", state="open") >= 1
    assert counted(seen, "facerec_matcher_database_ready") == 1
    assert counted(seen, "facerec_build_info", service="matcher") == 1
    of_encoder = scrape(admin(encoder))
    assert counted(of_encoder, handled, grpc_method="Encode", grpc_code="OK") >= 4
    assert counted(of_encoder, "facerec_encoder_faces_total") >= 4
    for stage in ("queue", "scan", "embed"):
        assert counted(of_encoder, "facerec_encoder_stage_seconds_count", stage=stage) >= 4
    assert counted(of_encoder, "facerec_encoder_batch_items_count", network="encoding") >= 1
    assert counted(of_encoder, "facerec_loop_lag_seconds_count") > 0
    assert counted(of_encoder, "facerec_encoder_provider_fallback") in (0, 1)
    assert counted(of_encoder, "facerec_encoder_model_info", space="dlib-resnet-v1/small/150x0.25") == 1


def probe(address: str) -> int:
    """The exit code of the images' HEALTHCHECK, run as they run it."""
    command = [sys.executable, "-I", "-S", readiness_probe.__file__, address]
    return subprocess.run(command, timeout=LIMIT_SECONDS, check=False).returncode


def test_a_containers_probe_tells_serving_from_not_and_from_nobody(
    encoder: EncoderProcess, make_database: Callable[[str], str]
) -> None:
    assert probe(admin(encoder)) == 0
    assert probe("127.0.0.1:1") == 1
    unmigrated = MatcherProcess(make_database("template0"), *ADMIN)
    try:
        assert probe(admin(unmigrated)) == 1
    finally:
        unmigrated.stop()


def test_a_broken_image_is_counted_by_its_code(encoder: EncoderProcess) -> None:
    before = scrape(admin(encoder))
    with EncoderClient(encoder.address) as client, pytest.raises(FacerecError):
        client.encode(b"no image")

    def refused(samples: Samples) -> float:
        return counted(
            samples, "grpc_server_handled_total", grpc_method="Encode", grpc_code="INVALID_ARGUMENT"
        )

    wait_until(lambda: refused(scrape(admin(encoder))) != refused(before))
    assert refused(scrape(admin(encoder))) == refused(before) + 1


def test_a_live_service_may_be_unready(make_database: Callable[[str], str], matcher: MatcherProcess) -> None:
    assert fetch(admin(matcher), "/livez") == (200, "alive\n")
    assert fetch(admin(matcher), "/readyz") == (200, "ready\n")
    assert fetch(admin(matcher), "/")[0] == 404
    unmigrated = MatcherProcess(make_database("template0"), *ADMIN)
    try:
        assert fetch(admin(unmigrated), "/livez")[0] == 200
        status, text = fetch(admin(unmigrated), "/readyz")
        assert status == 503
        assert "facerec.matcher.v1.MatcherService" in text
    finally:
        unmigrated.stop()


def test_metrics_beyond_loopback_need_a_flag() -> None:
    with pytest.raises(InsecureAddress, match="--insecure"):
        Admin("0.0.0.0:0", dict, insecure=False)


def test_every_metric_is_documented_and_every_documented_metric_exists(
    encoder: EncoderProcess, matcher: MatcherProcess
) -> None:
    text = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
    documented = set(re.findall(r"^\| `((?:facerec|grpc)_\w+)` \|", text, re.MULTILINE))
    shown = {
        match[1]
        for server in (encoder, matcher)
        for match in re.finditer(
            r"^# TYPE ((?:facerec|grpc)_\w+) ", fetch(admin(server), "/metrics")[1], re.M
        )
        if not match[1].endswith("_created")
    }
    assert documented == shown
