"""A real Prometheus that scrapes real servers with the shipped configuration and rules."""

import copy
import json
import re
import signal
import subprocess
import threading
import urllib.request
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.fixtures.process import ROOT
from tests.fixtures.waiting import LIMIT_SECONDS, wait_until

MONITORING = ROOT / "deploy" / "monitoring"
SHORTER = 30  # times: the ranges that rates are taken over
_UNITS = {"s": 1, "m": 60, "h": 3600}
_RANGE = re.compile(r"\[(\d+)([smh])\]")


def rules() -> list[dict[str, Any]]:
    """The alerting rules that are shipped."""
    document = yaml.safe_load((MONITORING / "rules.yaml").read_text())
    return [rule for group in document["groups"] for rule in group["rules"]]


def shortened() -> dict[str, Any]:
    """The same rules with `for` a second where there is one, and each range so many times shorter."""
    chosen = copy.deepcopy(rules())
    for rule in chosen:
        rule["expr"] = _RANGE.sub(lambda m: f"[{int(m[1]) * _UNITS[m[2]] // SHORTER}s]", rule["expr"])
        if "for" in rule:
            rule["for"] = "1s"
    return {"groups": [{"name": "facerec", "interval": "1s", "rules": chosen}]}


class Prometheus:
    """A Prometheus that scrapes its targets every second. Its files go into a folder."""

    def __init__(self, folder: Path) -> None:
        self._config = folder / "prometheus.yaml"
        (folder / "rules.yaml").write_text(yaml.safe_dump(shortened()))
        self._write({})
        command = ["prometheus", f"--config.file={self._config}", f"--storage.tsdb.path={folder / 'data'}"]
        self._process = subprocess.Popen(
            [*command, "--web.listen-address=127.0.0.1:0"], stderr=subprocess.PIPE, text=True
        )
        self._address: str | None = None
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        wait_until(lambda: self._address is not None)

    def scrape(self, targets: Mapping[str, Iterable[str]]) -> None:
        """Scrape these admin ports from now on, by job, and nobody else."""
        self._write(targets)
        self._process.send_signal(signal.SIGHUP)
        wanted = {(job, address) for job, addresses in targets.items() for address in addresses}
        wait_until(lambda: self._targets() == wanted)

    def _write(self, targets: Mapping[str, Iterable[str]]) -> None:
        config = yaml.safe_load((MONITORING / "prometheus.yaml").read_text())
        config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        for job in config["scrape_configs"]:
            job["static_configs"] = [{"targets": list(targets.get(job["job_name"], ()))}]
        self._config.write_text(yaml.safe_dump(config))

    def _targets(self) -> set[tuple[str, str]]:
        active = self._ask("targets?state=active")["activeTargets"]
        return {(each["labels"]["job"], each["labels"]["instance"]) for each in active}

    def firing(self, alert: str) -> list[dict[str, str]]:
        """The labels of each that fires."""
        alerts = self._ask("alerts")["alerts"]
        return [
            each["labels"]
            for each in alerts
            if each["labels"]["alertname"] == alert and each["state"] == "firing"
        ]

    def wait_for(self, *alerts: str) -> None:
        """Wait until all of these alerts fire."""
        wait_until(lambda: all(self.firing(alert) for alert in alerts))

    def wait_for_end(self, *alerts: str) -> None:
        """Wait until none of these alerts fires."""
        wait_until(lambda: not any(self.firing(alert) for alert in alerts))

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait(LIMIT_SECONDS)
        self._reader.join(LIMIT_SECONDS)
        assert self._process.stderr is not None
        self._process.stderr.close()

    def _ask(self, path: str) -> dict[str, Any]:
        with urllib.request.urlopen(f"http://{self._address}/api/v1/{path}", timeout=LIMIT_SECONDS) as answer:
            found: dict[str, Any] = json.load(answer)["data"]
        return found

    def _read(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            if match := re.search(r'msg="Listening on".* address=(\S+)', line):
                self._address = match[1]
