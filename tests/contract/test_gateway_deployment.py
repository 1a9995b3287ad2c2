"""How the overlays deploy the gateway: what it may reach, who reaches it, and how it ends."""

import re
import shutil
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest

from facerec.gateway.settings import GatewaySettings
from matcher_service.settings import MatcherSettings
from scripts.chart import render_in
from tests.contract.test_deploy import (
    DEPLOY,
    KUBERNETES,
    OVERLAYS,
    PRODUCTION,
    named,
    needs_kubectl,
    rendered,
    settings_of,
)
from tests.fixtures import kustomize

pytestmark = needs_kubectl
CALLER = {"facerec-client": "true"}


def pod(overlay: str) -> dict[str, Any]:
    template: dict[str, Any] = named(overlay, "Deployment", "gateway")["spec"]["template"]
    return template


def selects(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    """Whether a selector, with labels and expressions of NotIn and In, selects a pod."""
    for each in selector.get("matchExpressions", ()):
        if (labels.get(each["key"]) in each["values"]) is (each["operator"] == "NotIn"):
            return False
    return bool(selector.get("matchLabels", {}).items() <= labels.items())


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_gateway_may_connect_to_the_services_and_to_dns_alone(overlay: str) -> None:
    labels = pod(overlay)["metadata"]["labels"]
    policies = [each for each in rendered(overlay) if each["kind"] == "NetworkPolicy"]
    out = [
        rule
        for each in policies
        if "Egress" in each["spec"]["policyTypes"] and selects(each["spec"]["podSelector"], labels)
        for rule in each["spec"].get("egress", ())
    ]
    ways = {
        (target.get("podSelector", {}).get("matchLabels", {}).get("app.kubernetes.io/name"), port["port"])
        for rule in out
        for target in rule["to"]
        for port in rule["ports"]
    }
    assert ways == {("encoder", 50051), ("matcher", 50052), (None, 53)}
    assert CALLER.items() <= labels.items(), "by which both services admit it"


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_callers_and_what_brings_calls_from_outside_may_connect_to_the_gateway(overlay: str) -> None:
    (rule,) = named(overlay, "NetworkPolicy", "gateway")["spec"]["ingress"]
    label = {"matchLabels": CALLER}
    assert rule == {
        "from": [
            {"podSelector": label},
            {"namespaceSelector": label, "podSelector": label},
            {"namespaceSelector": {"matchLabels": {"facerec-ingress": "true"}}},
        ],
        "ports": [{"protocol": "TCP", "port": 8080}],
    }
    out = named(overlay, "NetworkPolicy", "clients-of-gateway")["spec"]
    assert selects(out["podSelector"], CALLER)
    (way,) = out["egress"]
    assert way["to"] == [{"podSelector": {"matchLabels": {"app.kubernetes.io/name": "gateway"}}}]
    ports = [each["port"] for each in named(overlay, "Service", "gateway")["spec"]["ports"]]
    assert (way["ports"], ports) == (rule["ports"], [8080, 9080])


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_a_gateway_that_ends_answers_what_balancers_still_send(overlay: str) -> None:
    settings = settings_of("gateway")
    deployment = named(overlay, "Deployment", "gateway")["spec"]
    assert deployment["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    drain, grace = (float(settings[f"GATEWAY_{each}_SECONDS"]) for each in ("DRAIN", "GRACE"))
    assert drain >= 10, "endpoints are taken from balancers' lists within seconds"
    assert pod(overlay)["spec"]["terminationGracePeriodSeconds"] > drain + grace


def test_the_gateway_takes_what_a_matcher_reads_and_its_memory_is_bounded() -> None:
    settings, matcher = settings_of("gateway"), settings_of("matcher")
    most = int(settings["GATEWAY_MAX_REQUEST_BYTES"])
    assert (
        most
        == int(matcher["MATCHER_MAX_REQUEST_BYTES"])
        < MatcherSettings.model_fields["max_request_bytes"].default
    )
    (container,) = pod("dev")["spec"]["containers"]
    limit = int(container["resources"]["limits"]["memory"].removesuffix("Mi")) * 2**20
    assert limit >= 128 * 2**20 + 8 * int(settings["GATEWAY_MAX_BYTES_IN_FLIGHT"])


@pytest.mark.parametrize("overlay", PRODUCTION)
def test_in_production_the_gateway_has_a_certificate_that_has_no_roles(overlay: str) -> None:
    certificate = named(overlay, "Certificate", "gateway")["spec"]
    assert set(certificate["usages"]) == {"server auth", "client auth"}
    (volume,) = [each for each in pod(overlay)["spec"]["volumes"] if each["name"] == "tls"]
    assert volume["secret"]["secretName"] == certificate["secretName"]
    (container,) = pod(overlay)["spec"]["containers"]
    given = {each["name"].removeprefix("GATEWAY_").lower(): each["value"] for each in container["env"]}
    assert GatewaySettings.model_validate(given).security().cert_file == Path("/run/tls/tls.crt")
    assert GatewaySettings.model_validate(given).session_secret_file == Path(
        "/run/secrets/console/session-secret"
    )
    documented = re.findall(r'^ *subject = "(.*)"', (DEPLOY / "README.md").read_text(), re.MULTILINE)
    assert documented == ["matcher"]


def component(name: str, folder: Path) -> dict[str, dict[str, Any]]:
    """What a component adds to production, by kind."""
    found = render_in(folder, name)
    added = {kind: found[kind, each] for kind, each in found.keys() - render_in(folder).keys()}
    assert {each["metadata"]["namespace"] for each in added.values()} == {"facerec"}
    return added


def test_an_ingress_passes_photos_on_and_keeps_none(tmp_path: Path) -> None:
    added = component("ingress", tmp_path)
    assert set(added) == {"Ingress"}
    kubernetes_validate.validate(added["Ingress"], KUBERNETES, strict=True)
    prefix = "nginx.ingress.kubernetes.io/"
    given = {
        key.removeprefix(prefix): each for key, each in added["Ingress"]["metadata"]["annotations"].items()
    }
    megabytes = int(given["proxy-body-size"].removesuffix("m"))
    assert megabytes * 2**20 == int(settings_of("gateway")["GATEWAY_MAX_REQUEST_BYTES"])
    assert given["proxy-request-buffering"] == "off", "nginx would write photos to files"
    assert given["enable-access-log"] == "false", "paths have people's ids"
    assert float(given["proxy-read-timeout"]) > GatewaySettings.model_fields["max_call_seconds"].default
    assert (given["backend-protocol"], given["proxy-ssl-verify"]) == ("HTTPS", "on")
    certificate = named("prod", "Certificate", "gateway")["spec"]
    assert given["proxy-ssl-secret"] == f"facerec/{certificate['secretName']}"
    assert given["proxy-ssl-name"] in certificate["dnsNames"]
    spec = added["Ingress"]["spec"]
    assert spec["tls"][0]["hosts"] == [spec["rules"][0]["host"]]
    assert spec["rules"][0]["http"]["paths"][0]["backend"] == {
        "service": {"name": "gateway", "port": {"name": "http"}}
    }


def test_a_route_of_the_gateway_api_checks_the_gateways_certificate(tmp_path: Path) -> None:
    added = component("gateway-api", tmp_path)
    assert set(added) == {"HTTPRoute", "BackendTLSPolicy"}
    assert {each["apiVersion"] for each in added.values()} == {"gateway.networking.k8s.io/v1"}
    (rule,) = added["HTTPRoute"]["spec"]["rules"]
    assert rule["backendRefs"] == [{"name": "gateway", "port": 8080}]
    assert rule["timeouts"] == {"request": "0s"}, "an export takes longer than any default"
    policy = added["BackendTLSPolicy"]["spec"]
    assert policy["targetRefs"] == [
        {"group": "", "kind": "Service", "name": "gateway", "sectionName": "http"}
    ]
    assert policy["validation"]["hostname"] in named("prod", "Certificate", "gateway")["spec"]["dnsNames"]


def test_the_patches_that_the_readme_shows_leave_the_gateway_out_and_name_its_host(tmp_path: Path) -> None:
    shutil.copytree(DEPLOY, tmp_path / "facerec" / "deploy", ignore=shutil.ignore_patterns("secrets"))
    readme = (DEPLOY / "README.md").read_text()
    (leaving_out,) = re.findall(r"```yaml\n(patches:\n  - target: {name: gateway.*?)```", readme, re.DOTALL)
    (with_ingress,) = re.findall(r"```yaml\n(components:\n.*?)```", readme, re.DOTALL)
    overlay = "resources: [facerec/deploy/kubernetes/overlays/prod]\n"
    (tmp_path / "kustomization.yaml").write_text(overlay + leaving_out)
    left = {(each["kind"], each["metadata"]["name"]) for each in kustomize.render(tmp_path)}
    everything = {(each["kind"], each["metadata"]["name"]) for each in rendered("prod")}
    assert everything - left == {each for each in everything if "gateway" in each[1]}

    (tmp_path / "kustomization.yaml").write_text(overlay + with_ingress)
    (ingress,) = [each["spec"] for each in kustomize.render(tmp_path) if each["kind"] == "Ingress"]
    assert (ingress["rules"][0]["host"], ingress["tls"][0]["hosts"]) == (
        "faces.team.example",
        ["faces.team.example"],
    )
