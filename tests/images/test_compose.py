"""What deploy/compose.yaml runs works, is locked down, asks for no other names, and ends as it should."""

import subprocess
import time
from pathlib import Path

import pytest

from tests.e2e.gateway import http
from tests.fixtures.waiting import wait_until
from tests.images import docker
from tests.images.compose import Compose

SERVICES = ("encoder", "matcher", "gateway", "maintain")
OUTSIDE = "outside.example"
# Of the first process: user, capabilities in force and obtainable, no-new-privileges; is / read-only?
LOCKS = """
import json, os
lines = (line.split(':') for line in open('/proc/1/status'))
status = {name: text.split() for name, text in lines if name in ('Uid', 'CapEff', 'CapBnd', 'NoNewPrivs')}
seen = {'read_only': bool(os.statvfs('/').f_flag & os.ST_RDONLY), 'CI': 'CI' in os.environ}
print(json.dumps(status | seen))
"""
# Of the first process, the service itself, and of all processes, its health checks too; in seconds.
CPU = """
import json, os, pathlib
ticks = sum(map(int, pathlib.Path('/proc/1/stat').read_text().rpartition(')')[2].split()[11:13]))
one, two = pathlib.Path('/sys/fs/cgroup/cpuacct/cpuacct.usage'), pathlib.Path('/sys/fs/cgroup/cpu.stat')
everything = int(one.read_text()) / 1e9 if one.exists() else int(two.read_text().split()[1]) / 1e6
print(json.dumps([ticks / os.sysconf('SC_CLK_TCK'), everything]))
"""
PROBE = """
import resource, subprocess
command = ['python', '-I', '-S', '/opt/facerec/readiness_probe.py', '127.0.0.1:%d']
codes = [subprocess.run(command).returncode for _ in range(10)]
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print([max(codes), (used.ru_utime + used.ru_stime) / 10])
"""
IDLE_SECONDS, MAX_IDLE_SHARE = 60.0, 0.01
MAX_PROBE_SECONDS = 0.1  # of CPU, on a busy machine; importing gRPC took three times that on a quiet one


def verified(compose: Compose, claimed: str, photo: Path) -> int:
    return compose.facerec("verify", claimed, photo).returncode


def test_a_person_who_is_enrolled_is_told_from_another(compose: Compose, sample_photos: Path) -> None:
    enrolled = compose.facerec("enroll", "obama", sample_photos / "obama.jpg")
    assert enrolled.returncode == 0, enrolled.stderr
    assert verified(compose, "obama", sample_photos / "obama2.jpg") == 0
    assert verified(compose, "obama", sample_photos / "biden.jpg") == 1
    found = compose.facerec("identify", sample_photos / "obama3.jpg")
    assert found.returncode == 0, found.stderr
    assert "obama" in found.stdout


def test_a_photo_is_verified_by_http_under_the_names_of_this_machine_alone(
    compose: Compose, sample_photos: Path
) -> None:
    address = compose.run("port", "gateway", "8080")
    claim: list[tuple[str, str | bytes]] = [
        ("person_id", "obama"),
        ("image", (sample_photos / "obama2.jpg").read_bytes()),
    ]
    answer = http.post_form(address, "/v1/verify", claim)
    assert (answer.status, answer.json["match"]) == (200, True)
    assert http.send(address, "GET", "/console/").status == 200
    assert http.send(address, "GET", "/health", None, {"host": "evil.example"}).status == 403


@pytest.mark.parametrize("service", SERVICES)
def test_a_container_has_no_rights_and_cannot_write_its_files(compose: Compose, service: str) -> None:
    locks = compose.python(service, LOCKS)
    assert (
        locks.pop("CI") is False
    )  # it would silence ONNX Runtime's telemetry, which the last test looks for
    none = "0" * 16
    assert locks == {
        "Uid": ["10001"] * 4,
        "CapEff": [none],
        "CapBnd": [none],
        "NoNewPrivs": ["1"],
        "read_only": True,
    }


@pytest.mark.parametrize(("service", "port"), [("encoder", 9051), ("matcher", 9052), ("gateway", 9080)])
def test_a_health_check_costs_little(compose: Compose, service: str, port: int) -> None:
    code, seconds = compose.python(service, PROBE % port)
    print(f"{service}: a health check takes {1000 * seconds:.0f} ms of CPU")
    assert code == 0
    assert seconds < MAX_PROBE_SECONDS


def test_an_idle_service_uses_one_percent_of_a_core_at_most(compose: Compose) -> None:
    before = {service: compose.python(service, CPU) for service in SERVICES}
    began = time.monotonic()
    time.sleep(IDLE_SECONDS)
    seconds = time.monotonic() - began
    shares = {}
    for service, used in before.items():
        own, everything = (
            (now - then) / seconds for now, then in zip(compose.python(service, CPU), used, strict=True)
        )
        print(f"{service}: idle {100 * own:.2f} % of a core, {100 * everything:.2f} % with its health checks")
        shares[service] = own
    assert max(shares.values()) <= MAX_IDLE_SHARE


def test_people_outlive_a_restart_a_removal_and_a_changed_setting(
    compose: Compose, sample_photos: Path
) -> None:
    compose.run("restart", "postgres", *SERVICES)
    compose.up()
    wait_until(lambda: verified(compose, "obama", sample_photos / "obama2.jpg") == 0)
    compose.run("down")
    compose.up()
    assert verified(compose, "obama", sample_photos / "obama2.jpg") == 0
    matcher = compose.container("matcher")["Id"]
    compose.up(changed=True)  # which replaces the encoder, at another address
    assert "ENCODER_THREADS=1" in compose.container("encoder")["Config"]["Env"]
    assert compose.container("matcher")["Id"] == matcher
    wait_until(lambda: verified(compose, "obama", sample_photos / "obama2.jpg") == 0)
    assert verified(compose, "obama", sample_photos / "biden.jpg") == 1


def test_what_runs_ends_by_sigterm_with_zero(compose: Compose) -> None:
    compose.run("stop")
    ends = {service: compose.container(service)["State"]["ExitCode"] for service in (*SERVICES, "postgres")}
    assert set(ends.values()) == {0}, ends


@pytest.mark.parametrize("moment", ["imports", "loads"])
def test_an_encoder_that_starts_ends_by_sigterm_with_zero(compose: Compose, moment: str) -> None:
    container = docker.docker("run", "--detach", "--env=ENCODER_INSECURE=true", "facerec-encoder:checked")
    try:
        if moment == "loads":
            wait_until(lambda: '"listening"' in said(container))
        else:
            wait_until(lambda: handles_sigterm(container))
        docker.docker("stop", "--time=60", container)
        assert docker.inspect(container)["State"]["ExitCode"] == 0
        assert '"serving"' not in said(container)
    finally:
        docker.docker("rm", "--force", container)


def said(container: str) -> str:
    ran = subprocess.run(["docker", "logs", container], capture_output=True, text=True, check=True)
    return ran.stdout + ran.stderr


def handles_sigterm(container: str) -> bool:
    """Whether the container's first process has a handler: without one it ignores the signal."""
    status = docker.docker("exec", container, "cat", "/proc/1/status")
    (caught,) = (int(line.split()[1], 16) for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(caught >> 14 & 1)


def test_no_name_is_asked_for_but_those_of_the_containers(compose: Compose) -> None:
    # The engine passes on what it does not know: a container's name, while that one is away.
    assert set(compose.asked_names()) <= {"encoder", "matcher"}
    compose.up()
    look_up = f"import socket, json; print(json.dumps(socket.gethostbyname_ex('{OUTSIDE}')))"
    with pytest.raises(subprocess.CalledProcessError):
        compose.python("encoder", look_up)
    assert OUTSIDE in compose.asked_names()
