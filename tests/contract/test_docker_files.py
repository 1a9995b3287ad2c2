"""What the files of the images and of compose promise without an engine; `make check-images` runs them."""

import json
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

import facerec
from encoder_service.settings import EncoderSettings
from facerec.serving.server.settings import ServingSettings
from matcher_service.settings import MatcherSettings

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "deploy" / "docker"
IMAGES = sorted(path.name.removesuffix(".Dockerfile") for path in DOCKER.glob("*.Dockerfile"))
SECRETS = "--mount=type=secret,id=pip.conf --mount=type=secret,id=ca.crt"
SETTINGS: dict[str, type[ServingSettings]] = {"encoder": EncoderSettings, "matcher": MatcherSettings}

on_every_image = pytest.mark.parametrize("image", IMAGES)


def instructions(image: str) -> list[str]:
    """The instructions of a Dockerfile, each on one line, without its comments."""
    text = (DOCKER / f"{image}.Dockerfile").read_text()
    lines = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    return [re.sub(r"\s+", " ", each) for each in re.sub(r"\\\n", " ", lines).splitlines() if each]


def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())["services"]
    return found


def test_there_are_four_images() -> None:
    assert IMAGES == ["encoder", "encoder-gpu", "gateway", "matcher"]


@on_every_image
def test_every_stage_starts_from_the_base_that_may_be_named_by_digest(image: str) -> None:
    first, *rest = instructions(image)
    assert first == "ARG BASE=python:3.12-slim-bookworm"
    assert [each for each in rest if each.startswith("FROM ")] == ["FROM $BASE AS build", "FROM $BASE"]


@on_every_image
def test_an_index_and_its_password_reach_pip_as_secrets_and_by_no_argument(image: str) -> None:
    lines = instructions(image)
    assert {re.split(r"[ =]", each)[1] for each in lines if each.startswith("ARG ")} == {"BASE", "REVISION"}
    assert [each for each in lines if each.startswith("ENV PIP")] == [
        "ENV PIP_CONFIG_FILE=/run/secrets/pip.conf"
    ]
    fetching = [each for each in lines if "pip install" in each and "--no-index" not in each]
    assert fetching
    for each in fetching:
        assert each.startswith(f"RUN {SECRETS} ")
        assert each.count("--require-hashes") == each.count("pip install")


@on_every_image
def test_both_pythons_of_an_image_are_stripped(image: str) -> None:
    before, _, final = "\n".join(instructions(image)).rpartition("FROM $BASE\n")
    assert "RUN sh strip.sh /opt/facerec" in before
    assert "sh /tmp/strip.sh /usr/local" in final
    assert "COPY --from=build /opt/facerec /opt/facerec" in final


@on_every_image
def test_the_labels_name_this_release(image: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (labels,) = [each for each in instructions(image) if each.startswith("LABEL ")]
    assert f'image.title="facerec-{image}"' in labels
    assert f'image.version="{facerec.__version__}"' in labels
    assert f'image.licenses="{project["license"]}"' in labels


@on_every_image
def test_the_health_check_asks_the_admin_port_of_the_image_and_of_compose(image: str) -> None:
    service = image.split("-", maxsplit=1)[0]
    lines = instructions(image)
    (check,) = [each for each in lines if each.startswith("HEALTHCHECK ")]
    *start, program, address = json.loads(check.partition(" CMD ")[2])
    assert start == ["python", "-I", "-S"]
    (copied,) = [each for each in lines if each.startswith("COPY facerec/serving/readiness_probe.py ")]
    assert program == f"{copied.split()[-1]}readiness_probe.py"
    (environment,) = [each for each in lines if each.startswith("ENV PATH")]
    assert f" {service.upper()}_ADMIN_ADDRESS={address} " in f"{environment} "
    listens = compose()[service]["environment"][f"{service.upper()}_ADMIN_ADDRESS"]
    assert listens.rpartition(":")[2] == address.rpartition(":")[2]


def test_compose_kills_no_service_that_still_finishes_its_calls() -> None:
    for name, service in compose().items():
        number, unit = re.fullmatch(r"(\d+)(s|m)", service["stop_grace_period"]).groups()  # type: ignore[union-attr]
        given = int(number) * {"s": 1, "m": 60}[unit]
        fields = SETTINGS["encoder" if name == "encoder" else "matcher"].model_fields
        assert given >= fields["drain_seconds"].default + fields["grace_seconds"].default + 10, name


def test_the_log_of_every_container_is_bounded() -> None:
    assert {service["logging"]["driver"] for service in compose().values()} == {"local"}


def test_the_secrets_of_compose_are_made_once_and_kept(tmp_path: Path) -> None:
    script = shutil.copy(ROOT / "deploy" / "secrets.sh", tmp_path)
    made = []
    for _ in range(2):
        subprocess.run(["sh", script], check=True)
        made.append({path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()})
    assert made[0] == made[1]
    files = {
        secret["file"]
        for secret in yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())["secrets"].values()
    }
    assert files == {f"./secrets/{name}" for name in made[0]}
    assert {path.name for path in tmp_path.iterdir()} == {"secrets", "secrets.sh"}
    password = made[0]["serve-password"].strip()
    assert f":{password}@" in made[0]["serve-url"]


def test_without_an_engine_the_check_of_the_images_says_that_it_was_skipped(tmp_path: Path) -> None:
    environment = {"PATH": "/usr/bin:/bin", "DOCKER_HOST": f"unix://{tmp_path / 'nobody'}"}
    ran = subprocess.run(
        [ROOT / "scripts" / "check_images.sh"], env=environment, capture_output=True, text=True, check=True
    )
    assert ran.stdout.startswith("check-images: SKIPPED, no Docker engine")
