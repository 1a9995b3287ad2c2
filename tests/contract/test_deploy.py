"""The deployment files render, validate, and name existing settings."""

import functools
import importlib.util
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from matcher_service.postgres.connections.verification import why_unverified
from tests.fixtures import kustomize
from tests.fixtures.kustomize import KUBECTL

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
BASE = DEPLOY / "kubernetes" / "base"
COMPONENTS = DEPLOY / "kubernetes" / "components"
OVERLAYS = sorted(path.name for path in (DEPLOY / "kubernetes" / "overlays").iterdir())
PRODUCTION = sorted({*OVERLAYS} - {"dev"})
OPERATORS = {"postgresql.cnpg.io", "keda.sh", "monitoring.coreos.com", "cert-manager.io"}
KUBERNETES = "1.34"

needs_kubectl = pytest.mark.skipif(KUBECTL is None, reason="kubectl is not on this machine")


def known_settings(service: str) -> set[str]:
    """The environment variables of a service, as its own code knows them."""
    if service == "encoder":
        from encoder_service.settings import EncoderSettings as Settings
    elif service == "gateway":
        from facerec.gateway.settings import GatewaySettings as Settings  # type: ignore[assignment]
    else:
        from matcher_service.settings import MatcherSettings as Settings  # type: ignore[assignment]
    names = {f"{service}_{name}".upper() for name in Settings.model_fields}
    return names | {f"{name}_FILE" for name in names}


@functools.cache
def rendered(overlay: str) -> list[dict[str, Any]]:
    """What an overlay deploys."""
    return kustomize.render(DEPLOY / "kubernetes" / "overlays" / overlay)


@needs_kubectl
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_an_overlay_renders_and_validates(overlay: str) -> None:
    import kubernetes_validate

    resources = rendered(overlay)
    for resource in resources:
        if resource["apiVersion"].split("/")[0] not in OPERATORS:
            kubernetes_validate.validate(resource, KUBERNETES, strict=True)
    kinds = {resource["kind"] for resource in resources}
    assert {"Namespace", "Deployment", "Service", "Job", "CronJob", "NetworkPolicy"} <= kinds
    assert {"ConfigMap", "PodDisruptionBudget"} <= kinds


@needs_kubectl
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_pod_of_an_overlay_is_restricted_and_has_no_token(overlay: str) -> None:
    for resource in rendered(overlay):
        spec = (
            resource["spec"]["jobTemplate"]["spec"]
            if resource["kind"] == "CronJob"
            else resource.get("spec", {})
        )
        pod = spec.get("template", {}).get("spec")
        if pod is None:
            continue
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        for container in pod["containers"]:
            context = container["securityContext"]
            assert context["readOnlyRootFilesystem"]
            assert not context["allowPrivilegeEscalation"]
            assert context["capabilities"] == {"drop": ["ALL"]}


@needs_kubectl
@pytest.mark.parametrize("overlay", PRODUCTION)
def test_no_password_is_deployed_to_production(overlay: str) -> None:
    assert not [resource for resource in rendered(overlay) if resource["kind"] == "Secret"]


@needs_kubectl
def test_a_gpu_overlay_never_runs_the_encoder_on_a_cpu() -> None:
    encoder = named("gpu", "Deployment", "encoder")
    (container,) = encoder["spec"]["template"]["spec"]["containers"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert container["image"].startswith("facerec-encoder-gpu")
    settings = named("gpu", "ConfigMap", "encoder-settings")
    assert settings["data"]["ENCODER_PROVIDER"] == "cuda"


def test_the_compose_file_builds_what_is_here_and_names_settings_that_exist() -> None:
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    for name, service in compose["services"].items():
        if build := service.get("build"):
            assert (DEPLOY / build["context"] / build["dockerfile"]).is_file()
        for variable in service.get("environment", {}):
            if name != "postgres":
                assert variable in known_settings(variable.split("_")[0].lower())
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:")


def settings_of(service: str) -> dict[str, str]:
    """The settings that the base gives to a service, or its component to the gateway."""
    folder = COMPONENTS / "gateway" if service == "gateway" else BASE
    lines = (folder / f"{service}.env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if not line.startswith("#"))


@pytest.mark.parametrize("service", ["encoder", "gateway", "matcher"])
def test_every_setting_in_the_config_maps_is_one_of_the_service(service: str) -> None:
    assert len(settings_of(service)) > 5
    assert set(settings_of(service)) <= known_settings(service)


@pytest.mark.parametrize("image", ["encoder", "encoder-gpu", "gateway", "matcher"])
def test_every_setting_in_the_image_is_one_of_the_service(image: str) -> None:
    service = image.split("-", maxsplit=1)[0]
    dockerfile = (ROOT / "deploy" / "docker" / f"{image}.Dockerfile").read_text()
    assigned = set(re.findall(rf"\b({service.upper()}_[A-Z_]+)=", dockerfile))
    assert assigned
    assert assigned <= known_settings(service)


def test_every_image_with_onnx_runtime_turns_its_telemetry_off() -> None:
    for image in ("encoder", "encoder-gpu"):
        lines = (DEPLOY / "docker" / f"{image}.Dockerfile").read_text().rpartition("FROM ")[2].splitlines()
        assert any(line.strip(" \\") == "ORT_DISABLE_TELEMETRY=1" for line in lines), image


@pytest.mark.parametrize("service", ["encoder", "gateway", "matcher"])
def test_everything_the_image_copies_is_in_the_repository(service: str) -> None:
    dockerfile = (ROOT / "deploy" / "docker" / f"{service}.Dockerfile").read_text()
    copied = [
        line.split()[1:-1]
        for line in dockerfile.splitlines()
        if line.startswith("COPY ") and "--from" not in line
    ]
    assert copied
    for sources in copied:
        for source in sources:
            assert (ROOT / source).exists(), source


@needs_kubectl
def test_every_variable_that_a_container_is_given_is_a_setting() -> None:
    seen = set()
    for resource in rendered("prod"):
        if resource["kind"] != "Deployment":
            continue
        (container,) = resource["spec"]["template"]["spec"]["containers"]
        names = {each["name"] for each in container["env"]}
        assert names <= known_settings(resource["metadata"]["name"]), resource["metadata"]["name"]
        seen |= names
    assert {"ENCODER_TLS_CLIENT_CA_FILE", "MATCHER_KEYS_FILE", "MATCHER_ENCODER_TLS_CERT_FILE"} <= seen
    assert {"GATEWAY_TLS_CERT_FILE", "GATEWAY_SERVICES_TLS_CERT_FILE"} <= seen


def exported_metrics() -> set[str]:
    """The metrics of docs/operations.md, which a test holds to be those there are."""
    text = (ROOT / "docs" / "operations.md").read_text()
    return set(re.findall(r"^\| `([a-z_]+)` \| (?:both|encoder|matcher) \|", text, re.MULTILINE))


def used_metrics(text: str) -> set[str]:
    """The metrics that queries name, a histogram's parts as the histogram."""
    names = re.findall(r"\b((?:facerec|grpc_server)_[a-z_]+)(?=[\[{) ]|$)", text)
    return {re.sub(r"_(bucket|sum|count)$", "", name) for name in names}


def test_dashboard_and_alerts_use_existing_metrics() -> None:
    dashboard = json.loads((DEPLOY / "monitoring" / "dashboard.json").read_text())
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    rules = yaml.safe_load((DEPLOY / "monitoring" / "rules.yaml").read_text())
    alerts = [rule for group in rules["groups"] for rule in group["rules"]]
    used = used_metrics("\n".join([*queries, *(rule["expr"] for rule in alerts)]))
    assert len(used) > 15
    assert used <= exported_metrics()
    runbook = (ROOT / "docs" / "operations.md").read_text()
    for rule in alerts:
        assert f"| `{rule['alert']}`, {rule['labels']['severity']} | " in runbook


def test_the_operators_rules_are_those_of_a_plain_prometheus() -> None:
    made = subprocess.run([ROOT / "scripts" / "alert_rules.sh"], check=True, capture_output=True).stdout
    kept = (DEPLOY / "kubernetes" / "overlays" / "own-postgres" / "alerts.yaml").read_bytes()
    assert kept == made, "run make alert-rules"
    plain = yaml.safe_load((DEPLOY / "monitoring" / "rules.yaml").read_text())
    resource = yaml.safe_load(kept)
    assert (resource["kind"], resource["spec"]) == ("PrometheusRule", plain)


def test_every_service_is_scraped_under_the_job_name_of_the_rules() -> None:
    config = yaml.safe_load((DEPLOY / "monitoring" / "prometheus.yaml").read_text())
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    jobs = {job["job_name"]: job["static_configs"][0]["targets"] for job in config["scrape_configs"]}
    for name in ("encoder", "gateway", "matcher"):
        listens = compose[name]["environment"][f"{name.upper()}_ADMIN_ADDRESS"]
        assert jobs[f"facerec-{name}"] == [f"{name}:{listens.rpartition(':')[2]}"]


@needs_kubectl
def test_the_operator_scrapes_under_the_same_job_names() -> None:
    monitor = named("prod", "ServiceMonitor", "facerec")["spec"]
    label = "app.kubernetes.io/name"
    (relabeling,) = monitor["endpoints"][0]["relabelings"]
    assert relabeling["sourceLabels"] == ["__meta_kubernetes_service_label_app_kubernetes_io_name"]
    assert (relabeling["targetLabel"], relabeling["replacement"]) == ("job", "facerec-$1")
    (selected,) = monitor["selector"]["matchExpressions"]
    assert (selected["key"], set(selected["values"])) == (label, {"encoder", "gateway", "matcher"})
    for name in selected["values"]:
        service = named("prod", "Service", name)
        assert service["metadata"]["labels"][label] == name
        assert monitor["endpoints"][0]["port"] in {port["name"] for port in service["spec"]["ports"]}


def named(overlay: str, kind: str, name: str) -> dict[str, Any]:
    """A resource of an overlay; a generated one's name goes on with a hash of its content."""
    hashed = "(-[a-z0-9]{10})?" if kind in ("ConfigMap", "Secret") else ""
    (found,) = [
        each
        for each in rendered(overlay)
        if each["kind"] == kind and re.fullmatch(name + hashed, each["metadata"]["name"])
    ]
    return found


@needs_kubectl
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_no_probe_uses_plain_grpc_on_a_tls_port(overlay: str) -> None:
    for name in ("encoder", "gateway", "matcher"):
        (container,) = named(overlay, "Deployment", name)["spec"]["template"]["spec"]["containers"]
        probes = [container[f"{each}Probe"] for each in ("startup", "readiness", "liveness")]
        locked = any(each["name"].endswith("_TLS_CERT_FILE") for each in container.get("env", ()))
        assert locked is (overlay != "dev")
        for probe in probes:
            assert len({"grpc", "httpGet", "tcpSocket"} & set(probe)) == 1
            assert not (locked and "grpc" in probe)


@needs_kubectl
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_a_labelled_caller_may_connect_through_the_network_policies(overlay: str) -> None:
    label = {"facerec-client": "true"}
    out = named(overlay, "NetworkPolicy", "clients")["spec"]
    assert out["podSelector"]["matchLabels"] == label
    ways = {
        (rule["to"][0]["podSelector"]["matchLabels"]["app.kubernetes.io/name"], rule["ports"][0]["port"])
        for rule in out["egress"]
    }
    assert ways == {("encoder", 50051), ("matcher", 50052)}
    for name, port in ways:
        (rule,) = named(overlay, "NetworkPolicy", name)["spec"]["ingress"]
        assert {"protocol": "TCP", "port": port} in rule["ports"]
        assert {"podSelector": {"matchLabels": label}} in rule["from"]
        assert {
            "namespaceSelector": {"matchLabels": label},
            "podSelector": {"matchLabels": label},
        } in rule["from"]


def test_every_secret_that_production_needs_is_documented() -> None:
    readme = (DEPLOY / "README.md").read_text()
    text = "\n".join(
        path.read_text() for path in (DEPLOY / "kubernetes").rglob("*.yaml") if "dev" not in path.parts
    )
    asked = set(re.findall(r"secretName: ([\w-]+)", text)) | set(
        re.findall(r"[sS]ecret:\n\s+name: ([\w-]+)", text)
    )
    made = set(re.findall(r"^  secretName: ([\w-]+)", text, re.MULTILINE))  # by cert-manager
    assert {"facerec-database", "facerec-keys", "facerec-migrate-login"} <= asked - made
    for name in asked - made:
        assert name in readme, name


def pods_of_the_database(overlay: str) -> dict[str, dict[str, Any]]:
    """The pods that are given a URL of the database, by the kind of what makes them."""
    found = {}
    for resource in rendered(overlay):
        spec = resource.get("spec", {})
        pod = (spec.get("jobTemplate", {}).get("spec", spec)).get("template", {}).get("spec", {})
        for container in pod.get("containers", ()):
            if any(each["name"] == "MATCHER_DATABASE_URL_FILE" for each in container.get("env", ())):
                found[resource["kind"]] = pod
    return found


@needs_kubectl
@pytest.mark.parametrize("overlay", PRODUCTION)
def test_every_pod_that_connects_to_the_production_database_has_the_ca_that_the_urls_name(
    overlay: str,
) -> None:
    pods = pods_of_the_database(overlay)
    assert set(pods) == {"Deployment", "Job", "CronJob"}
    for pod in pods.values():
        (volume,) = [each for each in pod["volumes"] if each["name"] == "database-ca"]
        assert volume["secret"]["secretName"] == "facerec-db-ca"
        (container,) = pod["containers"]
        (mount,) = [each for each in container["volumeMounts"] if each["name"] == "database-ca"]
        verify = f"sslmode=verify-full&sslrootcert={mount['mountPath']}/ca.crt"
        assert f'VERIFY="{verify}"' in (DEPLOY / "README.md").read_text()
    assert not why_unverified(f"postgresql://facerec_matcher:x@facerec-db-rw:5432/facerec?{verify}", {})


@pytest.mark.parametrize("name", ["encoder", "encoder-gpu", "gateway", "matcher"])
def test_every_module_that_an_image_runs_exists(name: str) -> None:
    text = (DEPLOY / "docker" / f"{name}.Dockerfile").read_text()
    modules = re.findall(r'"-m", "([\w.]+)"', text)
    assert modules
    for module in modules:
        assert importlib.util.find_spec(module), module


def test_every_service_of_the_compose_file_but_the_database_is_locked_down() -> None:
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    for name, service in compose.items():
        if name != "postgres":
            assert service["read_only"], name
            assert (service["cap_drop"], service["security_opt"]) == (["ALL"], ["no-new-privileges:true"]), (
                name
            )
            prefix = name.upper() if name in ("encoder", "gateway") else "MATCHER"
            assert {variable.split("_")[0] for variable in service["environment"]} == {prefix}, name
