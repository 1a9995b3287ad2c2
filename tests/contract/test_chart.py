"""The Helm chart is what the overlays are, and takes the values that it documents and no others.

`make check-deploy` renders it by Helm's own code and compares each object.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
import yaml

import facerec
from scripts import chart
from tests.contract.test_deploy import needs_kubectl
from tests.fixtures.process import ROOT

CHART = ROOT / "deploy" / "helm" / "facerec"
BY_HAND = {"_helpers.tpl", "NOTES.txt"}
VALUES = yaml.safe_load((CHART / "values.yaml").read_text())


def check(values: dict[str, Any]) -> None:
    """As Helm does, once it has put the values over the defaults. Raises ValidationError."""
    jsonschema.validate(over(VALUES, values), json.loads((CHART / "values.schema.json").read_text()))


def over(defaults: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    found = dict(defaults)
    for key, value in values.items():
        found[key] = over(found[key], value) if isinstance(value, dict) and key in found else value
    return found


@needs_kubectl
def test_the_charts_templates_are_made_from_the_overlays() -> None:
    made = chart.templates()
    kept = {path.name: path.read_text() for path in chart.TEMPLATES.iterdir() if path.name not in BY_HAND}
    assert kept == made, "run make chart"


def test_the_chart_has_the_release_and_the_kubernetes_that_the_readme_names() -> None:
    described = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert {described["version"], described["appVersion"]} == {facerec.__version__}
    for readme in (CHART / "README.md", ROOT / "deploy" / "README.md"):
        (oldest,) = re.findall(r"Kubernetes (\d\.\d+) or newer", readme.read_text())
        assert described["kubeVersion"] == f">={oldest}.0-0"


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"images": {"registry": "registry.example/team/", "encoder": {"digest": "sha256:" + "0" * 64}}},
        {"encoder": {"gpu": True, "settings": {"ENCODER_LOG_CALLS": "all"}}},
        {"gateway": {"ingress": {"enabled": True, "host": "faces.example"}}},
    ],
)
def test_values_of_the_chart_are_accepted(values: dict[str, Any]) -> None:
    check(values)


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"gatewayy": {"enabled": True}}, "gatewayy"),
        ({"encoder": {"settings": {"ENCODER_THREADS": 4}}}, "4"),
        ({"matcher": {"settings": {"GATEWAY_LOG_CALLS": "all"}}}, "GATEWAY_LOG_CALLS"),
        ({"images": {"matcher": {"digest": "sha256:short"}}}, "sha256:short"),
        ({"images": {"registry": "registry.example/team"}}, "registry.example/team"),
        ({"gateway": {"ingress": {"enabled": True}}}, "''"),
        ({"gateway": {"httpRoute": {"enabled": True, "hostnames": ["faces.example"]}}}, "[]"),
    ],
)
def test_values_that_would_do_nothing_or_harm_are_refused(values: dict[str, Any], named: str) -> None:
    with pytest.raises(jsonschema.ValidationError) as refused:
        check(values)
    assert named in refused.value.message


def paths(values: dict[str, Any], before: str = "") -> Iterator[str]:
    """The names of all values; one that is a map for its user counts as a whole."""
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from paths(value, f"{before}{key}.")
        else:
            yield before + key


def test_every_value_is_used_and_every_value_that_is_used_is_there() -> None:
    text = "".join(path.read_text() for path in chart.TEMPLATES.iterdir())
    used = set(re.findall(r"\.Values\.([\w.]+\w)", text)) - {"images", "images.registry"}
    there = {path for path in paths(VALUES) if not path.startswith("images.")}
    assert used == there


def test_the_readme_names_every_secret_and_shows_values_that_are_accepted() -> None:
    readme = (CHART / "README.md").read_text()
    (shown,) = re.findall(r"```yaml\n(.*?)```", readme, re.DOTALL)
    check(yaml.safe_load(shown))
    for name in [*VALUES["secrets"].values(), VALUES["gateway"]["ingress"]["tlsSecret"]]:
        assert name in readme, name
