"""The parts of `make check-cluster` that need no cluster, and its steps against a stand-in for kubectl."""

import asyncio
import json
import stat
import tomllib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import kubernetes_validate
import pytest

from facerec.client import MatcherClient, Security
from facerec.gateway.server import GatewayServer
from facerec.gateway.settings import GatewaySettings
from facerec.serving.auth.key_store import KeyStore
from facerec.serving.server.settings_loading import load
from matcher_service.postgres.connections.verification import why_unverified
from tests.cluster import __main__ as command_line
from tests.cluster import caller, objects
from tests.cluster.kubectl import Kubectl, KubectlFailed
from tests.cluster.overlay import check, in_namespace
from tests.contract.test_deploy import KUBERNETES, needs_kubectl
from tests.fixtures.matcher import RunningMatcher, StartMatcher
from tests.fixtures.waiting import until

CORE = ("v1", "apps/v1", "batch/v1", "policy/v1", "networking.k8s.io/v1", "autoscaling/v2")
WALKED = json.dumps({"walked": caller.EXPECTED})


@pytest.fixture
async def served(start_matcher: StartMatcher, database_url: str, encoder_address: str) -> RunningMatcher:
    """A matcher with a running encoder."""
    return await start_matcher(database_url, encoder_address=encoder_address)


@pytest.fixture
async def gateway(served: RunningMatcher, encoder_address: str) -> AsyncIterator[str]:
    """The URL of a gateway before them."""
    settings = ("--address", "127.0.0.1:0", "--encoder-address", encoder_address)
    made = load(GatewaySettings, [*settings, "--matcher-address", served.address], prog="gateway", about="")
    server = GatewayServer(made)
    async with server.running():
        yield f"http://{server.address}"


async def test_the_caller_does_the_main_job_and_counts_the_calls_that_fail(
    served: RunningMatcher,
    gateway: str,
    sample_photos: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    stop = tmp_path / "stop"
    stop.touch()
    arguments = (served.address, gateway, str(sample_photos), str(stop))
    assert await asyncio.to_thread(caller.main, *arguments) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    assert lines == [{"walked": caller.EXPECTED}, {"load": {"calls": 0, "failed": []}}]

    stop.unlink()
    with MatcherClient(served.address) as client:
        over_http = caller.Gateway(gateway, Security())
        calls = caller.Load(client, over_http, sample_photos, stop)
        running = asyncio.create_task(asyncio.to_thread(calls.run))
        try:
            await until(lambda: calls.calls > 20)
            assert not calls.failed
            await asyncio.to_thread(client.delete_person, caller.PERSON)
            await until(lambda: len(calls.failed) > 10)
        finally:
            stop.touch()
            counted = await running
        assert counted == {"calls": calls.calls, "failed": calls.failed}
        assert {each["reason"] for each in calls.failed} == {"PERSON_NOT_FOUND"}
        with pytest.raises(caller.HttpFailed, match="IMAGE_INVALID"):
            await asyncio.to_thread(over_http.is_match, caller.PERSON, b"no photo")


@pytest.mark.parametrize("locked", [False, True])
def test_the_callers_pod_is_valid_and_restricted(sample_photos: Path, locked: bool) -> None:
    config, pod = in_namespace(
        objects.caller("facerec-matcher:0.1.0", sample_photos, locked=locked), "facerec"
    )
    for each in (config, pod):
        kubernetes_validate.validate(each, KUBERNETES, strict=True)
    assert len(json.dumps(config)) < 1_500_000, "etcd takes no larger request"
    (container,) = pod["spec"]["containers"]
    assert container["securityContext"]["readOnlyRootFilesystem"]
    variables = {each["name"]: each["value"] for each in container["env"]}
    mounted = {each["mountPath"] for each in container["volumeMounts"]}
    used = {name: path for name, path in variables.items() if name.startswith("FACEREC_")}
    assert {path.rpartition("/")[0] for path in used.values()} <= mounted
    assert bool(used) is locked
    if locked:
        assert Security.from_environment({"FACEREC_TLS_CA_FILE": variables["FACEREC_TLS_CA_FILE"]}).is_tls


def test_the_secrets_of_production_are_what_the_services_read(tmp_path: Path) -> None:
    made = {each["metadata"]["name"]: each["stringData"] for each in objects.production_secrets()}
    keys = tmp_path / "keys.toml"
    keys.write_text(made["facerec-keys"]["keys.toml"])
    assert KeyStore(keys)
    assert {each["subject"] for each in tomllib.loads(keys.read_text())["certificates"]} == {"matcher"}
    urls = made["facerec-database"]
    assert set(urls) == {"migrate-url", "serve-url", "read-urls"}
    for url in urls.values():
        assert not why_unverified(url, {})
    assert made["facerec-matcher-login"]["password"] in urls["serve-url"]
    assert made["facerec-migrate-login"]["password"] in urls["migrate-url"]


def test_arguments_name_a_kubeconfig_and_overlays_that_exist(tmp_path: Path) -> None:
    file = tmp_path / "config"
    file.touch()
    found = command_line.arguments(["--kubeconfig", str(file), "dev", "--facerec-matcher", "team/matcher:1"])
    assert (found.overlays, found.facerec_matcher, found.facerec_encoder) == (["dev"], "team/matcher:1", None)
    for wrong in ([], ["--kubeconfig", str(tmp_path / "none")], ["--kubeconfig", str(file), "staging"]):
        with pytest.raises(SystemExit) as ended:
            command_line.arguments(wrong)
        assert ended.value.code == 2


@needs_kubectl
def test_given_images_take_the_place_of_the_overlays() -> None:
    made = objects.rendered("dev", {"facerec-matcher": "team/matcher:1"})
    images = {each["image"] for pod in map(objects.pod_spec, made) if pod for each in pod["containers"]}
    others = {"facerec-encoder:0.1.0", "facerec-gateway:0.1.0", "pgvector/pgvector:0.8.5-pg18"}
    assert images == {"team/matcher:1"} | others


class StandIn:
    """A program in kubectl's place that answers by what a command contains, and records each."""

    def __init__(self, folder: Path, answers: Mapping[str, str]) -> None:
        self._log = folder / "log"
        self._log.touch()
        cases = "".join(f"*{text!r}*) cat <<'END'\n{answer}\nEND\n;;\n" for text, answer in answers.items())
        self.program = folder / "kubectl"
        self.program.write_text(f'#!/bin/sh\necho "$*" >> {self._log}\ncase "$*" in\n{cases}esac\n')
        self.program.chmod(self.program.stat().st_mode | stat.S_IXUSR)

    def check(self, overlay: str, photos: Path) -> None:
        check(Kubectl(Path("the-cluster"), str(self.program)), overlay, {}, photos)

    def commands(self) -> list[str]:
        """The commands, without what all begin with."""
        lines = self._log.read_text().splitlines()
        assert all(line.startswith("--kubeconfig the-cluster ") for line in lines)
        return [line.removeprefix("--kubeconfig the-cluster ") for line in lines]


@needs_kubectl
def test_a_namespace_that_exists_is_not_touched(tmp_path: Path, sample_photos: Path) -> None:
    cluster = StandIn(tmp_path, {"get namespace": "namespace/facerec-dev"})
    with pytest.raises(KubectlFailed, match="already"):
        cluster.check("dev", sample_photos)
    assert [each.split()[0] for each in cluster.commands()] == ["get"]


@needs_kubectl
def test_what_needs_operators_is_named_and_the_rest_is_tried_on_the_server(
    tmp_path: Path, sample_photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster = StandIn(tmp_path, {"api-versions": "\n".join(CORE)})
    cluster.check("prod", sample_photos)
    said = capsys.readouterr().out
    assert "SKIPPED, as the cluster has no postgresql.cnpg.io/v1: Cluster facerec-db, ScheduledBackup" in said
    assert "SKIPPED, as the cluster has no keda.sh/v1alpha1: ScaledObject encoder" in said
    assert "NOT RUN" in said
    applied = [each for each in cluster.commands() if each.startswith("apply")]
    assert all("--server-side --validate=strict --warnings-as-errors" in each for each in applied)
    assert ["--dry-run=server" in each for each in applied] == [False, True]  # the namespace, and the rest
    assert cluster.commands()[-1].startswith("delete namespace facerec ")


@needs_kubectl
@pytest.mark.parametrize(
    ("walked", "failed", "problem"),
    [
        (caller.EXPECTED, [], None),
        (caller.EXPECTED, [{"reason": "UNREACHABLE", "after_seconds": 3.5}], "UNREACHABLE"),
        (caller.EXPECTED | {"other": True}, [], "main job"),
    ],
)
def test_a_run_succeeds_if_the_main_job_does_and_no_call_fails_and_is_always_cleaned_up(
    tmp_path: Path, sample_photos: Path, walked: object, failed: list[object], problem: str | None
) -> None:
    logs = [json.dumps({"walked": walked}), json.dumps({"load": {"calls": 500, "failed": failed}})]
    answers = {"api-versions": "\n".join(CORE), "get pod ": "Succeeded", "logs": "\n".join(logs)}
    cluster = StandIn(tmp_path, answers)
    if problem is None:
        cluster.check("dev", sample_photos)
        steps = [each for each in cluster.commands() if each.startswith("-n facerec-dev")]
        restarted = "-n facerec-dev rollout restart deployment/encoder deployment/matcher deployment/gateway"
        stopped = "-n facerec-dev exec facerec-check-caller -- touch /tmp/stop"
        assert "job/matcher-migrate" in steps[0]
        (ended,) = [number for number, each in enumerate(steps) if "deletionTimestamp" in each]
        assert steps.index(restarted) < ended < steps.index(stopped)
    else:
        with pytest.raises(AssertionError, match=problem):
            cluster.check("dev", sample_photos)
    assert cluster.commands()[-1].startswith("delete namespace facerec-dev ")
