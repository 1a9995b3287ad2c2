"""What is deployed renders, validates, and names settings that exist."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
BASE = ROOT / "deploy" / "kubernetes" / "base"
KUBERNETES = "1.34"

needs_kubectl = pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not on this machine")


def known_settings(service: str) -> set[str]:
    """The environment variables of a service, as its own code knows them."""
    if service == "encoder":
        from encoder_service.settings import EncoderSettings as Settings
    else:
        from matcher_service.settings import MatcherSettings as Settings  # type: ignore[assignment]
    names = {f"{service}_{name}".upper() for name in Settings.model_fields}
    return names | {f"{name}_FILE" for name in names}


@needs_kubectl
def test_the_base_renders_and_validates(tmp_path: Path) -> None:
    import kubernetes_validate

    rendered = subprocess.run(["kubectl", "kustomize", str(BASE)], check=True, capture_output=True).stdout
    resources = list(yaml.safe_load_all(rendered))
    for resource in resources:
        kubernetes_validate.validate(resource, KUBERNETES, strict=True)
    kinds = {resource["kind"] for resource in resources}
    assert {"Deployment", "Service", "Job", "ConfigMap", "Secret"} <= kinds


def manifests() -> list[dict[str, Any]]:
    paths = sorted(BASE.glob("*.yaml"))
    return [document for path in paths for document in yaml.safe_load_all(path.read_text())]


def test_every_setting_in_the_config_maps_is_one_of_the_service() -> None:
    config_maps = [manifest for manifest in manifests() if manifest.get("kind") == "ConfigMap"]
    assert len(config_maps) == 2
    for config_map in config_maps:
        service = config_map["metadata"]["name"].removesuffix("-settings")
        assert set(config_map["data"]) <= known_settings(service)


@pytest.mark.parametrize("service", ["encoder", "matcher"])
def test_every_setting_in_the_image_is_one_of_the_service(service: str) -> None:
    dockerfile = (ROOT / "deploy" / "docker" / f"{service}.Dockerfile").read_text()
    assigned = set(re.findall(rf"\b({service.upper()}_[A-Z_]+)=", dockerfile))
    assert assigned
    assert assigned <= known_settings(service)


@pytest.mark.parametrize("service", ["encoder", "matcher"])
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


def test_a_pod_outlives_its_drain_and_grace() -> None:
    settings = {m["metadata"]["name"]: m["data"] for m in manifests() if m.get("kind") == "ConfigMap"}
    for manifest in manifests():
        if manifest.get("kind") == "Deployment":
            name = manifest["metadata"]["name"]
            data = settings[f"{name}-settings"]
            needed = float(data[f"{name.upper()}_DRAIN_SECONDS"]) + float(
                data[f"{name.upper()}_GRACE_SECONDS"]
            )
            assert manifest["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] > needed
