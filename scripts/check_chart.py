"""Renders the Helm chart by Helm's own code, and compares each object with that of the overlays.

`python -m scripts.check_chart`, with the packages of requirements/deploy.in. It ends with 1 and a line for
each difference.
"""

import difflib
import sys
from collections.abc import Callable
from typing import Any

import helm_python
import yaml

from scripts.chart import ROOT, Object, Objects, rendered

CHART = ROOT / "deploy" / "helm" / "facerec"
AUTOSCALED = {name: {"autoscaling": {"enabled": True}} for name in ("encoder", "gateway", "matcher")}
MONITORED = {"monitoring": {"enabled": True}}
HOST = "faces.example"
ROUTE = {"hostnames": [HOST], "parentRefs": [{"name": "public", "namespace": "gateways"}]}
DATABASE = {"podSelector": {"matchLabels": {"cnpg.io/cluster": "facerec-db"}}}
SCALERS = ("HorizontalPodAutoscaler", "ScaledObject")
MONITORS = ("ServiceMonitor", "PrometheusRule")
REPLICAS = 2  # by default

Expected = Callable[[], Objects]


def main() -> int:
    """Lint the chart, and compare what each set of values gives; print a line for each."""
    problems = [
        each["error"]
        for each in helm_python.lint(str(CHART), strict=True)["messages"]
        if each["severity"] > 1
    ]
    for name, values, expected in CASES:
        found = differences(chart(values), expected())
        print(f"chart, {name}: {'; '.join(found) or 'the same objects'}")
        problems += found
    problems += refused()
    elsewhere = yaml.safe_dump_all(chart({}, namespace="faces").values())
    if "facerec.svc" in elsewhere or "namespace: facerec\n" in elsewhere:
        problems.append("a release in another namespace names the namespace facerec")
    for problem in problems:
        print(problem, file=sys.stderr)
    return int(bool(problems))


def chart(values: dict[str, Any], namespace: str = "facerec") -> Objects:
    """What the chart gives, by kind and name, without what only the chart has."""
    with helm_python.Chart.load(CHART) as loaded:
        files = loaded.render(values, name="release", namespace=namespace, revision=7)
    found = {}
    for name, text in files.items():
        if not name.endswith("NOTES.txt"):
            for each in filter(None, yaml.safe_load_all(text)):
                _without_its_own(each)
                found[each["kind"], each["metadata"]["name"]] = each
    return found


def _without_its_own(found: Object) -> None:
    if found["kind"] == "Job":
        found["metadata"]["name"] = found["metadata"]["name"].removesuffix("-7")
    if found["kind"] == "Deployment":
        del found["spec"]["template"]["metadata"]["annotations"]


def differences(found: Objects, expected: Objects) -> list[str]:
    """What is missing, too much, or not the same."""
    problems = [f"{kind} {name} is missing" for kind, name in expected.keys() - found.keys()]
    problems += [f"{kind} {name} is not in the overlay" for kind, name in found.keys() - expected.keys()]
    for kind, name in expected.keys() & found.keys():
        ours, theirs = (yaml.safe_dump(_in_order(each[kind, name])) for each in (found, expected))
        if ours != theirs:
            lines = difflib.unified_diff(theirs.splitlines(), ours.splitlines(), n=0, lineterm="")
            problems.append(f"{kind} {name} differs: {[*lines][2:]}")
    return sorted(problems)


def _in_order(found: Object) -> Object:
    """The object with its volumes by their names: their order means nothing."""
    if found["kind"] == "Deployment":
        found["spec"]["template"]["spec"]["volumes"].sort(key=lambda volume: volume["name"])
    return found


def overlay(*components: str, without: tuple[str, ...] = (), replicas: bool = False) -> Expected:
    """The objects of own-postgres with components, without some kinds, and with the default of replicas."""

    def found() -> Objects:
        objects = {
            key: each for key, each in rendered(*components).items() if key[0] not in ("Namespace", *without)
        }
        if replicas:
            for (kind, _), each in objects.items():
                if kind == "Deployment":
                    each["spec"]["replicas"] = REPLICAS
        return objects

    return found


def without_gateway() -> Objects:
    """The objects of own-postgres without those of the gateway."""
    return {key: each for key, each in overlay()().items() if "gateway" not in key[1]}


def over_an_operators_database() -> Objects:
    """The objects of prod but those of the operator of Postgres."""
    objects = overlay("cloudnative-pg", without=("Cluster", "ScheduledBackup", "PodMonitor"))()
    del objects["NetworkPolicy", "database"]
    return objects


def refused() -> list[str]:
    """Values that should be refused and are not."""
    wrong: list[dict[str, Any]] = [
        {"encoder": {"settings": {"ENCODER_THREADS": 4}}},
        {"matcher": {"settings": {"ENCODER_THREADS": "4"}}},
        {"gatewayy": {"enabled": False}},
        {"encoder": {"replicas": -1}},
        {"gateway": {"ingress": {"enabled": True}}},
        {"gateway": {"httpRoute": {"enabled": True}}},
    ]
    return [f"{values} is accepted" for values in wrong if not _is_refused(values)]


def _is_refused(values: dict[str, Any]) -> bool:
    try:
        chart(values)
    except (helm_python.HelmValuesError, helm_python.HelmRenderError):
        return True
    return False


ALL = {**AUTOSCALED, **MONITORED}
CASES: list[tuple[str, dict[str, Any], Expected]] = [
    ("defaults", {}, overlay(without=(*SCALERS, *MONITORS), replicas=True)),
    ("autoscaled and monitored", ALL, overlay()),
    ("GPUs", ALL | {"encoder": AUTOSCALED["encoder"] | {"gpu": True}}, overlay("gpu")),
    ("no gateway", ALL | {"gateway": {"enabled": False}}, without_gateway),
    (
        "Ingress",
        ALL | {"gateway": AUTOSCALED["gateway"] | {"ingress": {"enabled": True, "host": HOST}}},
        overlay("ingress"),
    ),
    (
        "Gateway API",
        ALL | {"gateway": AUTOSCALED["gateway"] | {"httpRoute": {"enabled": True, **ROUTE}}},
        overlay("gateway-api"),
    ),
    (
        "standbys",
        ALL | {"database": {"hasReadUrls": True, "peers": [DATABASE]}},
        over_an_operators_database,
    ),
]

if __name__ == "__main__":
    sys.exit(main())
