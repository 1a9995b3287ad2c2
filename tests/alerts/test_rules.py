"""Prometheus accepts the rules, and each fires and ends when it should."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.alerts.prometheus import MONITORING, rules

HERE = Path(__file__).parent
needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not on this machine"
)


def promtool(*arguments: str) -> str:
    done = subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@needs_promtool
def test_prometheus_takes_the_configuration_and_the_rules() -> None:
    assert f"{len(rules())} rules found" in promtool("check", "config", str(MONITORING / "prometheus.yaml"))


@needs_promtool
def test_every_rule_fires_and_ends_as_its_cases_expect() -> None:
    promtool("test", "rules", str(HERE / "rules_test.yaml"))


def test_every_alert_has_a_case_before_it_fires_while_it_fires_and_after_it_ended() -> None:
    cases = yaml.safe_load((HERE / "rules_test.yaml").read_text())["tests"]
    firing: dict[str, list[bool]] = {}
    for case in cases:
        (alert,) = {check["alertname"] for check in case["alert_rule_test"]}
        fires = [bool(check["exp_alerts"]) for check in case["alert_rule_test"]]
        assert [fires[0], True in fires, fires[-1]] == [False, True, False], alert
        firing[alert] = fires
    assert set(firing) == {rule["alert"] for rule in rules()}


def test_every_alert_is_made_to_fire_by_real_servers() -> None:
    text = "".join(path.read_text() for path in HERE.glob("test_firing*.py"))
    for rule in rules():
        for waited in ("wait_for", "wait_for_end"):
            assert re.search(rf'{waited}\([^)]*"{rule["alert"]}"', text), (waited, rule["alert"])


def labels_of(rule: dict[str, Any]) -> set[str]:
    return set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))


def test_replicas_are_distinguished_by_prometheus_own_labels() -> None:
    for rule in rules():
        assert "pod" not in labels_of(rule) | set(re.findall(r"\w+", rule["expr"])), rule["alert"]
        assert labels_of(rule) <= {"instance", "job", "grpc_method", "reason", "step"}
