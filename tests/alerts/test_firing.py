"""Real servers make every alert of calls and of the services fire, and end, in a real Prometheus."""

import hashlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest

from encoder_service.domain.errors import WeightsInvalid
from encoder_service.embedding.dlib_weights import cache, files, graph, resnet
from facerec.local.postgres import EmbeddedPostgres
from facerec.local.standby import EmbeddedStandby
from facerec.matcher.v1 import matcher_pb2 as pb
from facerec.matcher.v1 import matcher_pb2_grpc
from matcher_service.postgres.statements import partition_name
from tests.alerts.administrator import Administrator
from tests.alerts.conftest import ENCODER
from tests.alerts.prometheus import Prometheus
from tests.alerts.servers import Server, calling
from tests.e2e.access.conftest import entry
from tests.e2e.matcher.requests import encoding, enroll, vectors
from tests.fixtures.process import ROOT
from tests.fixtures.waiting import LIMIT_SECONDS, wait_until

pytestmark = pytest.mark.prometheus
PROBE = encoding(vectors(1)[0])
CLAIM = pb.VerifyRequest(person_id="ann", probe=PROBE)
FACES = partition_name("face", "default")
MANY_DECISIONS_SECONDS = 500.0  # 200,000 of them are kept before one is dropped
CACHE = ("--model-cache-dir", str(ROOT / ".cache" / "models"))
needs_gpu_runtime = pytest.mark.skipif(
    "ONNXRUNTIME_GPU" not in os.environ,
    reason="ONNXRUNTIME_GPU names no folder with onnxruntime-gpu (pip install --no-deps --target)",
)


@pytest.fixture
def stub(matcher: Server) -> Iterator[matcher_pb2_grpc.MatcherServiceStub]:
    """Calls the matcher, with one person enrolled, whether it is ready or not."""
    with grpc.insecure_channel(matcher.address) as channel:
        made = matcher_pb2_grpc.MatcherServiceStub(channel)
        made.Enroll(enroll("ann", PROBE))
        yield made


def verify(stub: matcher_pb2_grpc.MatcherServiceStub) -> Callable[[], object]:
    return lambda: stub.Verify(CLAIM, timeout=LIMIT_SECONDS)


def test_an_alert_fires_when_a_service_is_gone(matcher: Server, prometheus: Prometheus) -> None:
    encoder = Server(*ENCODER, *CACHE)
    addresses = ("--encoder-address", encoder.address, "--matcher-address", matcher.address)
    gateway = Server("facerec.gateway", "listening", *addresses)
    servers = {"facerec-matcher": matcher, "facerec-encoder": encoder, "facerec-gateway": gateway}
    targets = {job: [server.admin] for job, server in servers.items()}
    try:
        prometheus.scrape(targets)
        prometheus.wait_for_end("FacerecMatcherGone", "FacerecEncoderGone", "FacerecGatewayGone")
        for server in servers.values():
            server.stop()
        prometheus.wait_for(
            "FacerecMatcherGone", "FacerecEncoderGone", "FacerecGatewayGone", "FacerecTargetDown"
        )
        wait_until(
            lambda: (
                {each["instance"] for each in prometheus.firing("FacerecTargetDown")}
                == {server.admin for server in servers.values()}
            )
        )
        prometheus.scrape({})  # as where nothing is discovered any more
        prometheus.wait_for_end("FacerecTargetDown")
        prometheus.wait_for("FacerecMatcherGone", "FacerecEncoderGone", "FacerecGatewayGone")
        for server in servers.values():
            server.start()
        prometheus.scrape(targets)
        prometheus.wait_for_end(
            "FacerecMatcherGone", "FacerecEncoderGone", "FacerecGatewayGone", "FacerecTargetDown"
        )
    finally:
        gateway.stop()
        encoder.stop()


def test_an_alert_fires_when_the_database_is_down(
    stub: matcher_pb2_grpc.MatcherServiceStub, postgres: EmbeddedPostgres, prometheus: Prometheus
) -> None:
    with calling(verify(stub)):
        postgres.child.send(signal.SIGKILL)
        postgres.child.wait(LIMIT_SECONDS)
        prometheus.wait_for("FacerecDatabaseUnusable", "FacerecUnavailable")
        assert not prometheus.firing("FacerecNotServing")
        postgres.start()
        prometheus.wait_for_end("FacerecDatabaseUnusable", "FacerecUnavailable")
        stub.Verify(CLAIM)


def test_an_alert_fires_on_internal_errors(
    stub: matcher_pb2_grpc.MatcherServiceStub, administrator: Administrator, prometheus: Prometheus
) -> None:
    renaming = pb.UpdatePersonRequest(person_id="ann", display_name="Ann")
    persons = partition_name("person", "default")
    with calling(lambda: stub.UpdatePerson(renaming, timeout=LIMIT_SECONDS)):
        administrator.execute(
            f"ALTER TABLE facerec.{persons} ADD CONSTRAINT planted CHECK (display_name = '') NOT VALID"
        )
        prometheus.wait_for("FacerecInternalErrors")
        administrator.execute(f"ALTER TABLE facerec.{persons} DROP CONSTRAINT planted")
        prometheus.wait_for_end("FacerecInternalErrors")


def test_alerts_fire_when_a_table_stays_locked(
    stub: matcher_pb2_grpc.MatcherServiceStub, administrator: Administrator, prometheus: Prometheus
) -> None:
    with calling(verify(stub)):
        administrator.execute("BEGIN")
        administrator.execute(f"LOCK TABLE facerec.{FACES}")
        prometheus.wait_for("FacerecSlowVerify", "FacerecConnectionsExhausted")
        administrator.execute("ROLLBACK")
        prometheus.wait_for_end("FacerecSlowVerify", "FacerecConnectionsExhausted")


def test_an_alert_fires_when_calls_are_refused_as_overloaded(
    stub: matcher_pb2_grpc.MatcherServiceStub, administrator: Administrator, prometheus: Prometheus
) -> None:
    administrator.execute("BEGIN")
    administrator.execute(f"LOCK TABLE facerec.{FACES}")
    with calling(verify(stub), callers=12):
        prometheus.wait_for("FacerecOverloaded")
    administrator.execute("ROLLBACK")
    prometheus.wait_for_end("FacerecOverloaded")


def test_an_alert_fires_when_the_event_loop_lacks_cpu(matcher: Server, prometheus: Prometheus) -> None:
    process = matcher.process.process
    ends = time.monotonic() + LIMIT_SECONDS
    while not prometheus.firing("FacerecLoopLag"):
        assert time.monotonic() < ends
        process.send_signal(signal.SIGSTOP)
        time.sleep(0.3)  # what the process is kept from running, and not a wait for anything
        process.send_signal(signal.SIGCONT)
        time.sleep(0.3)
    prometheus.wait_for("FacerecLoopLag")
    prometheus.wait_for_end("FacerecLoopLag")


def test_an_alert_fires_when_somebody_guesses_keys(
    postgres: EmbeddedPostgres, prometheus: Prometheus, tmp_path: Path
) -> None:
    keys = tmp_path / "keys.toml"
    keys.write_text(entry("door", "fr_known", ["verify"]))
    flags = ("--database-url", postgres.url(), "--encoder-address", "127.0.0.1:1", "--keys-file", str(keys))
    server = Server("matcher_service", "database_ready", *flags)
    try:
        prometheus.scrape({"facerec-matcher": [server.admin]})
        with grpc.insecure_channel(server.address) as channel:
            stub = matcher_pb2_grpc.MatcherServiceStub(channel)
            with calling(lambda: stub.Verify(CLAIM, metadata=(("authorization", "Bearer fr_guessed"),))):
                prometheus.wait_for("FacerecManyDenied")
        (alert,) = prometheus.firing("FacerecManyDenied")
        assert alert["reason"] == "KEY_UNKNOWN"
        prometheus.wait_for_end("FacerecManyDenied")
    finally:
        server.stop()


def test_an_alert_fires_when_decisions_cannot_be_written(
    matcher: Server,
    stub: matcher_pb2_grpc.MatcherServiceStub,
    administrator: Administrator,
    prometheus: Prometheus,
) -> None:
    many = pb.IdentifyRequest(probes=[PROBE] * 16)
    administrator.execute("REVOKE INSERT ON facerec.audit FROM facerec_serve")
    with calling(lambda: stub.Identify(many), callers=3):
        matcher.process.event("decisions_dropped", MANY_DECISIONS_SECONDS)
        prometheus.wait_for("FacerecDecisionsDropped")
    administrator.execute("GRANT INSERT ON facerec.audit TO facerec_serve")
    prometheus.wait_for_end("FacerecDecisionsDropped")


def test_an_alert_fires_when_no_standby_can_be_read_from(
    postgres: EmbeddedPostgres, prometheus: Prometheus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    urls = tmp_path / "urls"
    urls.write_text("postgresql://postgres@127.0.0.1:1/postgres")
    monkeypatch.setenv("MATCHER_READ_DATABASE_URLS_FILE", str(urls))
    flags = ("--database-url", postgres.url(), "--encoder-address", "127.0.0.1:1")
    matcher = Server("matcher_service", "database_ready", *flags)
    try:
        prometheus.scrape({"facerec-matcher": [matcher.admin]})
        prometheus.wait_for("FacerecStandbysUnused")
        folder = postgres.socket_folder.parent.parent / "standby"
        with EmbeddedStandby.copy(folder, postgres) as standby:
            urls.write_text(standby.url())
            prometheus.wait_for_end("FacerecStandbysUnused")
    finally:
        prometheus.scrape({})
        matcher.stop()


def test_an_alert_fires_when_an_encoder_fails_its_self_test(prometheus: Prometheus, tmp_path: Path) -> None:
    weights = files.read(files.find().resnet)
    parsed = resnet.parse(weights.data)
    drifted = graph.write(resnet.ResNet(parsed.layers, average=(122.782, 117.001, 105.298), chip_pixels=150))
    kept = cache.entry_path(tmp_path, weights)
    kept.write_bytes(hashlib.sha256(drifted).digest() + drifted)
    encoder = Server("encoder_service", "self_test_failed", "--model-cache-dir", str(tmp_path))
    try:
        prometheus.scrape({"facerec-encoder": [encoder.admin]})
        prometheus.wait_for("FacerecNotServing")
        encoder.stop()
        kept.unlink()
        fixed = Server(*ENCODER, "--model-cache-dir", str(tmp_path))
    finally:
        encoder.stop()
    try:
        prometheus.scrape({"facerec-encoder": [fixed.admin]})
        prometheus.wait_for_end("FacerecNotServing")
    finally:
        fixed.stop()


def changed_weights(folder: Path) -> None:
    """The weights that are installed, but for a bit of the network."""
    source = files.find().resnet
    for each in source.parent.glob("*.dat"):
        if each != source:
            (folder / each.name).symlink_to(each)
    data = bytearray(source.read_bytes())
    middle = len(data) // 2
    for index in range(middle, middle + 1000):
        data[index] ^= 1
        try:
            resnet.parse(bytes(data))
        except WeightsInvalid:  # it was no bit of a number's
            data[index] ^= 1
        else:
            (folder / source.name).write_bytes(data)
            return
    raise AssertionError("no bit can be changed")


def test_an_alert_fires_when_two_models_serve_at_once(prometheus: Prometheus, tmp_path: Path) -> None:
    changed_weights(tmp_path)
    (tmp_path / "cache").mkdir()
    old = Server(*ENCODER, *CACHE)
    try:
        new = Server(*ENCODER, "--weights-dir", str(tmp_path), "--model-cache-dir", str(tmp_path / "cache"))
        try:
            prometheus.scrape({"facerec-encoder": [old.admin, new.admin]})
            prometheus.wait_for("FacerecTwoSpaces")
            old.stop()
            prometheus.wait_for_end("FacerecTwoSpaces")
        finally:
            new.stop()
    finally:
        old.stop()


@needs_gpu_runtime
def test_an_alert_fires_when_an_encoder_has_lost_its_gpu(
    prometheus: Prometheus, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_gpu_runtime = os.environ["ONNXRUNTIME_GPU"] + os.pathsep + os.environ.get("PYTHONPATH", "")
    with monkeypatch.context() as context:
        context.setenv("PYTHONPATH", with_gpu_runtime)
        encoder = Server(*ENCODER, *CACHE)
        asked_for_the_cpu = Server(*ENCODER, *CACHE, "--provider", "cpu")
    try:
        prometheus.scrape({"facerec-encoder": [encoder.admin, asked_for_the_cpu.admin]})
        prometheus.wait_for("FacerecProviderFallback")
        assert [each["instance"] for each in prometheus.firing("FacerecProviderFallback")] == [encoder.admin]
        encoder.stop()
        prometheus.wait_for_end("FacerecProviderFallback")
    finally:
        encoder.stop()
        asked_for_the_cpu.stop()
