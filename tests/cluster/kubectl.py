"""Runs kubectl against one cluster, which its kubeconfig names."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

SECONDS = 120


class KubectlFailed(Exception):
    """A command failed; the message is the command and what it said."""


class Kubectl:
    """kubectl with a kubeconfig, which is never taken from the environment or the home folder."""

    def __init__(self, kubeconfig: Path, program: str = "kubectl") -> None:
        self._command = [program, "--kubeconfig", str(kubeconfig)]

    def run(self, *arguments: str, text: str | None = None, seconds: float = SECONDS) -> str:
        """Run a command with `text` as its input, and return what it printed. Raises KubectlFailed."""
        command = [*self._command, *arguments]
        try:
            done = subprocess.run(
                command, input=text, capture_output=True, text=True, timeout=seconds, check=False
            )
        except subprocess.TimeoutExpired:
            raise KubectlFailed(f"{' '.join(arguments)}: not done after {seconds:.0f} s") from None
        if done.returncode != 0:
            raise KubectlFailed(f"{' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def apply(self, objects: Sequence[dict[str, Any]], *, dry_run: bool = False) -> None:
        """Apply on the server's side; unknown fields and warnings are errors. Raises KubectlFailed."""
        options = ["--server-side", "--validate=strict", "--warnings-as-errors"]
        options += ["--dry-run=server"] if dry_run else []
        self.run("apply", *options, "-f", "-", text=yaml.safe_dump_all(objects))

    def served(self) -> set[str]:
        """The API versions that the cluster serves, such as `apps/v1`."""
        return set(self.run("api-versions").split())

    def has(self, kind: str, name: str) -> bool:
        """Whether there is an object of that name."""
        return bool(self.run("get", kind, name, "--ignore-not-found", "-o", "name").strip())

    def has_gpus(self) -> bool:
        """Whether a node offers a GPU."""
        nodes = json.loads(self.run("get", "nodes", "-o", "json"))["items"]
        return any(int(node["status"]["allocatable"].get("nvidia.com/gpu", 0)) for node in nodes)
