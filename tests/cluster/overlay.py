"""Checks one overlay on a cluster: applied, waited for, called, rolled under load, removed."""

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.cluster import objects as made
from tests.cluster.caller import EXPECTED
from tests.cluster.kubectl import Kubectl, KubectlFailed

MINUTES_TO_START = 20
MINUTES_TO_ROLL = 30
POLL_SECONDS = 1.0
MIN_CALLS = 100
"""Fewer calls during a roll-out would prove nothing."""

_SERVICES = "app.kubernetes.io/name in (encoder,gateway,matcher)"
_DEPLOYMENTS = ("deployment/encoder", "deployment/matcher", "deployment/gateway")


def check(kubectl: Kubectl, overlay: str, images: Mapping[str, str], photos: Path) -> None:
    """Check an overlay and print what was done and what was left out. Raises KubectlFailed, AssertionError.

    Its namespace must not exist, and is deleted at the end.
    """
    objects = made.rendered(overlay, images)
    name = made.namespace(objects)["metadata"]["name"]
    if kubectl.has("namespace", name):
        raise KubectlFailed(f"{overlay}: there is a namespace {name} already, which is not touched")
    known, missing = made.split(objects, kubectl.served())
    for version in sorted({each["apiVersion"] for each in missing}):
        names = ", ".join(_name(each) for each in missing if each["apiVersion"] == version)
        print(f"{overlay}: SKIPPED, as the cluster has no {version}: {names}", flush=True)
    why = _why_not_run(kubectl, overlay, missing)
    kubectl.apply([made.namespace(objects)])
    try:
        if why:
            kubectl.apply([each for each in known if each["kind"] != "Namespace"], dry_run=True)
            print(f"{overlay}: {len(known)} objects accepted; NOT RUN: {why}", flush=True)
        else:
            _run(kubectl, overlay, objects, name, photos)
    finally:
        kubectl.run("delete", "namespace", name, "--timeout=10m", seconds=660)


def _why_not_run(kubectl: Kubectl, overlay: str, missing: Sequence[made.Object]) -> str:
    """Why an overlay's objects are only tried out on the server; "" if it can run."""
    if missing:
        return f"{len(missing)} objects are of operators that the cluster has not"
    if overlay == "own-postgres":
        return "its database is not part of it"
    if overlay == "gpu" and not kubectl.has_gpus():
        return "no node has a GPU"
    return ""


def _run(kubectl: Kubectl, overlay: str, objects: Sequence[made.Object], name: str, photos: Path) -> None:
    def run(*arguments: str, minutes: float = 2) -> str:
        return kubectl.run("-n", name, *arguments, seconds=60 * minutes + 30)

    locked = overlay != "dev"
    if locked:
        kubectl.apply(in_namespace(made.production_secrets(), name))
    kubectl.apply(objects)
    run("wait", "--for=condition=complete", "job/matcher-migrate", f"--timeout={MINUTES_TO_START}m",
        minutes=MINUTES_TO_START)  # fmt: skip
    _wait_for_roll_out(run, MINUTES_TO_START)
    (image,) = {
        each["image"]
        for workload in objects
        if workload["kind"] == "Deployment" and workload["metadata"]["name"] == "matcher"
        for each in workload["spec"]["template"]["spec"]["containers"]
    }
    kubectl.apply(in_namespace(made.caller(image, photos, locked=locked), name))
    walked = _outcome(run, "walked", 5)
    assert walked == EXPECTED, f"{overlay}: the main job ended as {walked}"
    print(f"{overlay}: {len(objects)} objects run; enrolled, verified and identified", flush=True)
    run("rollout", "restart", *_DEPLOYMENTS)
    _wait_for_roll_out(run, MINUTES_TO_ROLL)
    _wait_for_ends(run, MINUTES_TO_ROLL)
    run("exec", made.CALLER, "--", "touch", made.STOP)
    load = _outcome(run, "load", 2)
    print(f"{overlay}: rolled; {len(load['failed'])} of {load['calls']} calls failed", flush=True)
    assert load["calls"] >= MIN_CALLS and not load["failed"], f"{overlay}: {load}"


def in_namespace(objects: Sequence[made.Object], name: str) -> list[made.Object]:
    """The objects in a namespace."""
    return [each | {"metadata": each["metadata"] | {"namespace": name}} for each in objects]


def _wait_for_roll_out(run: Any, minutes: int) -> None:
    for deployment in _DEPLOYMENTS:
        run("rollout", "status", deployment, f"--timeout={minutes}m", minutes=minutes)


def _wait_for_ends(run: Any, minutes: int) -> None:
    """Wait until no replaced pod is left: a roll-out's status does not count those that still drain."""
    ends = time.monotonic() + 60 * minutes
    while run(
        "get", "pods", "-l", _SERVICES, "-o", "jsonpath={.items[*].metadata.deletionTimestamp}"
    ).strip():
        if time.monotonic() > ends:
            raise KubectlFailed(f"pods still end after {minutes} minutes")
        time.sleep(POLL_SECONDS)


def _outcome(run: Any, part: str, minutes: float) -> Any:
    """What the caller printed of a part. Raises KubectlFailed if it ended without, or is too late."""
    ends = time.monotonic() + 60 * minutes
    while True:
        phase = run("get", "pod", made.CALLER, "-o", "jsonpath={.status.phase}")
        lines = [] if phase == "Pending" else run("logs", made.CALLER).splitlines()
        found = [json.loads(line) for line in lines if line.startswith("{")]
        for outcome in found:
            if part in outcome:
                return outcome[part]
        if phase in ("Succeeded", "Failed") or time.monotonic() > ends:
            raise KubectlFailed(f"the caller is {phase} and has not {part}: {lines}")
        time.sleep(POLL_SECONDS)


def _name(each: made.Object) -> str:
    return f"{each['kind']} {each['metadata']['name']}"
