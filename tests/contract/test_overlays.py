"""What the Kubernetes overlays promise: roll-outs without failed calls, and a database that fits."""

import math
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from matcher_service.settings import MatcherSettings
from tests.contract.test_deploy import (
    DEPLOY,
    OVERLAYS,
    PRODUCTION,
    named,
    needs_kubectl,
    rendered,
    settings_of,
)
from tests.fixtures import kustomize
from tests.soak.rollouts import DNS_AGE_SECONDS, Times

SERVICES = ("encoder", "matcher")
AGE_JITTER = 1.1  # by which gRPC may exceed max_connection_age

pytestmark = needs_kubectl


def pods(overlay: str) -> dict[tuple[str, str], dict[str, Any]]:
    """The pod of each workload, by the kind and name of the workload."""
    found = {}
    for resource in rendered(overlay):
        spec = resource.get("spec", {})
        pod = spec.get("jobTemplate", {}).get("spec", spec).get("template", {}).get("spec")
        if pod is not None:
            found[resource["kind"], resource["metadata"]["name"]] = pod
    return found


def cores(quantity: str) -> float:
    return float(quantity.removesuffix("m")) / 1000 if quantity.endswith("m") else float(quantity)


@pytest.mark.parametrize("overlay", OVERLAYS)
@pytest.mark.parametrize("service", SERVICES)
def test_a_replica_serves_until_every_client_has_found_its_successor(overlay: str, service: str) -> None:
    deployment = named(overlay, "Deployment", service)
    times = Times.of_deployment(deployment["spec"], settings_of(service), service)
    assert times.min_ready >= DNS_AGE_SECONDS
    assert times.pre_stop >= AGE_JITTER * times.max_connection_age
    grace = float(settings_of(service)[f"{service.upper()}_GRACE_SECONDS"])
    pod = deployment["spec"]["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] > times.pre_stop + times.drain + grace


@pytest.mark.parametrize("overlay", OVERLAYS)
@pytest.mark.parametrize("service", SERVICES)
def test_a_roll_out_adds_a_replica_before_it_ends_one_unless_each_takes_a_gpu(
    overlay: str, service: str
) -> None:
    update = named(overlay, "Deployment", service)["spec"]["strategy"]["rollingUpdate"]
    if (overlay, service) == ("gpu", "encoder"):
        assert update == {"maxSurge": 0, "maxUnavailable": 1}
        assert named(overlay, "ScaledObject", "encoder")["spec"]["minReplicaCount"] > 1
    else:
        assert update == {"maxSurge": 1, "maxUnavailable": 0}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_a_changed_setting_rolls_the_pods_that_have_it(overlay: str, tmp_path: Path) -> None:
    tree = tmp_path / "deploy"
    shutil.copytree(DEPLOY, tree, ignore=shutil.ignore_patterns("secrets"))
    folders = dict.fromkeys(SERVICES, tree / "kubernetes" / "base")
    folders["gateway"] = tree / "kubernetes" / "components" / "gateway"
    for service, folder in folders.items():
        with (folder / f"{service}.env").open("a") as file:
            file.write(f"{service.upper()}_LOG_CALLS=all\n")
    objects = kustomize.render(tree / "kubernetes" / "overlays" / overlay)
    changed = {(each["kind"], each["metadata"]["name"]): each for each in objects}
    for service in folders:
        before = named(overlay, "Deployment", service)["spec"]["template"]
        assert changed["Deployment", service]["spec"]["template"] != before


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_config_map_and_secret_that_a_pod_names_is_made(overlay: str) -> None:
    made = {(each["kind"], each["metadata"]["name"]) for each in rendered(overlay)}
    made |= {
        ("Secret", each["spec"]["secretName"]) for each in rendered(overlay) if each["kind"] == "Certificate"
    }
    if overlay != "dev":  # by people or an operator, as deploy/README.md says
        made |= {
            ("Secret", name)
            for name in ("facerec-console", "facerec-database", "facerec-keys", "facerec-db-ca")
        }
    for pod in pods(overlay).values():
        secrets = [each["secret"]["secretName"] for each in pod["volumes"] if "secret" in each]
        configs = [each["configMap"]["name"] for each in pod["volumes"] if "configMap" in each]
        for container in pod["containers"]:
            configs += [each["configMapRef"]["name"] for each in container.get("envFrom", ())]
        assert {("Secret", each) for each in secrets} | {("ConfigMap", each) for each in configs} <= made


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_container_asks_for_cpu_and_memory_and_has_a_limit_of_memory(overlay: str) -> None:
    for pod in pods(overlay).values():
        for container in pod["containers"]:
            assert set(container["resources"]["requests"]) == {"cpu", "memory"}
            assert "memory" in container["resources"]["limits"]


def test_the_dev_overlay_fits_on_a_small_cluster() -> None:
    asked = [
        each["resources"]["requests"]["cpu"] for pod in pods("dev").values() for each in pod["containers"]
    ]
    assert len(asked) == 6
    assert sum(map(cores, asked)) <= 0.5


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_service_is_probed(overlay: str) -> None:
    for (kind, _), pod in pods(overlay).items():
        for container in pod["containers"]:
            probes = {"startupProbe", "readinessProbe", "livenessProbe"} & set(container)
            assert len(probes) == (0 if kind in ("Job", "CronJob") else 3)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_image_is_one_that_is_built_here_or_the_database(overlay: str) -> None:
    images = {each["image"] for pod in pods(overlay).values() for each in pod["containers"]}
    encoder = "facerec-encoder-gpu" if overlay == "gpu" else "facerec-encoder"
    release = yaml.safe_load((DEPLOY / "kubernetes" / "base" / "encoder.yaml").read_text().split("---\n")[1])
    (container,) = release["spec"]["template"]["spec"]["containers"]
    tag = container["image"].rpartition(":")[2]
    database = {"pgvector/pgvector:0.8.5-pg18"} if overlay == "dev" else set()
    assert images == {f"{encoder}:{tag}", f"facerec-gateway:{tag}", f"facerec-matcher:{tag}"} | database


def test_the_migration_waits_for_its_database() -> None:
    for overlay in OVERLAYS:
        job = named(overlay, "Job", "matcher-migrate")["spec"]
        (container,) = job["template"]["spec"]["containers"]
        assert container["args"] == ["migrate", "--wait=3600"]
        assert (job["backoffLimit"], job["ttlSecondsAfterFinished"]) == (3, 86400)


@pytest.mark.parametrize("overlay", ["prod", "gpu"])
def test_production_acknowledges_a_change_once_a_standby_has_it(overlay: str) -> None:
    cluster = named(overlay, "Cluster", "facerec-db")["spec"]
    assert cluster["instances"] == 3
    assert cluster["postgresql"]["synchronous"] == {
        "method": "any",
        "number": 1,
        "dataDurability": "required",
    }
    assert cluster["postgresql"]["parameters"]["synchronous_commit"] == "on"
    assert "monitoring" not in cluster, "its PodMonitor is an object of its own"
    assert named(overlay, "PodMonitor", "facerec-db")


@pytest.mark.parametrize("overlay", ["prod", "gpu"])
def test_matchers_of_production_read_from_the_standbys(overlay: str) -> None:
    pod = named(overlay, "Deployment", "matcher")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    (variable,) = [each for each in container["env"] if each["name"] == "MATCHER_READ_DATABASE_URLS_FILE"]
    folder, _, file = variable["value"].rpartition("/")
    (mount,) = [each for each in container["volumeMounts"] if each["mountPath"] == folder]
    (volume,) = [each for each in pod["volumes"] if each["name"] == mount["name"]]
    assert {"key": "read-urls", "path": file} in volume["secret"]["items"]


@pytest.mark.parametrize("overlay", ["prod", "gpu"])
def test_the_database_has_connections_for_every_replica_during_a_roll_out(overlay: str) -> None:
    settings = {"database_url": "postgresql:///", "read_database_urls": "postgresql:///"}
    each = MatcherSettings.model_validate(settings).max_connections()
    matcher = named(overlay, "Deployment", "matcher")["spec"]
    replicas = named(overlay, "HorizontalPodAutoscaler", "matcher")["spec"]["maxReplicas"]
    surge = matcher["strategy"]["rollingUpdate"]["maxSurge"]
    # A replica begins to end at the earliest minReadySeconds after the one before.
    ending = math.ceil(
        matcher["template"]["spec"]["terminationGracePeriodSeconds"] / matcher["minReadySeconds"]
    )
    parameters = named(overlay, "Cluster", "facerec-db")["spec"]["postgresql"]["parameters"]
    # And the migration, maintenance with a parallel build, the operator's own, and those kept for superusers.
    assert (replicas + surge + ending) * each + 20 <= int(parameters["max_connections"])


@pytest.mark.parametrize("overlay", PRODUCTION)
def test_a_postgres_of_ones_own_takes_the_operators_place_by_one_component(overlay: str) -> None:
    groups = {each["apiVersion"].partition("/")[0] for each in rendered(overlay)}
    assert ("postgresql.cnpg.io" in groups) is (overlay != "own-postgres")
    kustomization = yaml.safe_load((DEPLOY / "kubernetes/overlays/prod/kustomization.yaml").read_text())
    assert (kustomization["resources"], kustomization["components"]) == (
        ["../own-postgres"],
        ["../../components/cloudnative-pg"],
    )


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_what_uses_the_database_may_connect_to_it_and_every_pod_may_ask_dns(overlay: str) -> None:
    users = {"matcher", "matcher-migrate", "matcher-maintain"}
    way = named(overlay, "NetworkPolicy", "to-postgres" if overlay == "dev" else "to-database")["spec"]
    (selected,) = way["podSelector"]["matchExpressions"]
    assert set(selected["values"]) == users
    assert way["egress"][0]["ports"] == [{"protocol": "TCP", "port": 5432}]
    dns = named(overlay, "NetworkPolicy", "dns")["spec"]
    assert dns["podSelector"] == {}
    assert {each["port"] for each in dns["egress"][0]["ports"]} == {53}
    if overlay in ("prod", "gpu"):
        inside = named(overlay, "NetworkPolicy", "database")["spec"]
        sources = inside["ingress"][0]["from"]
        assert set(sources[0]["podSelector"]["matchExpressions"][0]["values"]) == users
        assert sources[1]["podSelector"] == way["egress"][0]["to"][0]["podSelector"] == inside["podSelector"]


def test_the_overlay_that_the_readme_shows_renders_with_its_images_and_its_setting(tmp_path: Path) -> None:
    shutil.copytree(DEPLOY, tmp_path / "facerec" / "deploy", ignore=shutil.ignore_patterns("secrets"))
    shown = re.findall(r"```yaml\n(.*?)```", (DEPLOY / "README.md").read_text(), re.DOTALL)
    (tmp_path / "kustomization.yaml").write_text(
        "".join(shown[:2]).replace("sha256:...", "sha256:" + "0" * 64)
    )
    resources = kustomize.render(tmp_path)
    (matcher,) = [
        each for each in resources if (each["kind"], each["metadata"]["name"]) == ("Deployment", "matcher")
    ]
    (container,) = matcher["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "registry.example/team/facerec-matcher@sha256:" + "0" * 64
    (source,) = container["envFrom"]
    (settings,) = [each for each in resources if each["metadata"]["name"] == source["configMapRef"]["name"]]
    assert settings["data"]["MATCHER_LOG_CALLS"] == "all"
    assert settings["data"]["MATCHER_DRAIN_SECONDS"] == "5"
