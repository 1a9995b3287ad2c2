"""`make bench-gateway`, its second part: the most memory of a gateway whose limit of bytes is used up.

A socket that never answers stands for the services, so that the gateway holds every request that it admitted.
The callers come from different loopback addresses, as one host alone may not use up the limit.
"""

import argparse
import base64
import contextlib
import dataclasses
import http.client
import json
import os
import socket
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from facerec.matcher.v1 import matcher_pb2 as pb
from tests.e2e.gateway.http import JSON, form
from tests.fixtures.gateway import GatewayProcess

METHOD: Final = "/facerec.matcher.v1.MatcherService/Verify"
CALLERS: Final = 8
HEAD_BYTES: Final = 4096  # left to what is around a photo


@dataclasses.dataclass(frozen=True)
class Load:
    """A request that is as large as may be."""

    path: str
    headers: Mapping[str, str]
    body: bytes


def loads(max_bytes: int) -> dict[str, Load]:
    """A claim with a photo of random bytes, in each form."""
    photo = os.urandom(max_bytes - HEAD_BYTES)
    text = base64.b64encode(photo[: len(photo) * 3 // 4]).decode()
    body, headers = form([("person_id", "a"), ("image", photo)])
    probe = pb.VerifyRequest(person_id="a", probe=pb.Probe(image=photo))
    claim = json.dumps({"personId": "a", "probe": {"image": text}}).encode()
    return {
        "protobuf": Load(METHOD, {"content-type": "application/proto"}, probe.SerializeToString()),
        "form": Load("/v1/verify", headers, body),
        "JSON, short path": Load("/v1/verify", JSON, json.dumps({"person_id": "a", "image": text}).encode()),
        "JSON, Connect": Load(METHOD, JSON, claim),
    }


@contextlib.contextmanager
def gateway(max_bytes: int, in_flight_bytes: int, seconds: float) -> Iterator[GatewayProcess]:
    """A gateway with these limits, before a socket that never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        limits = ("--max-request-bytes", str(max_bytes), "--max-bytes-in-flight", str(in_flight_bytes))
        more = ("--max-call-seconds", str(seconds), "--grace-seconds", "1")
        process = GatewayProcess(address, address, *limits, *more)
        try:
            process.event("listening")
            yield process
        finally:
            process.stop()


def statuses(address: str, load: Load) -> list[int]:
    """Send a request from each of the callers at once; returns what each was answered."""

    def send(number: int) -> int:
        source = (f"127.0.0.{10 + number}", 0)
        host, _, port = address.rpartition(":")
        connection = http.client.HTTPConnection(host, int(port), source_address=source, timeout=300)
        with contextlib.closing(connection):
            connection.request("POST", load.path, load.body, dict(load.headers))
            return connection.getresponse().status

    with ThreadPoolExecutor(CALLERS) as callers:
        return list(callers.map(send, range(CALLERS)))


def peak_bytes(process: GatewayProcess) -> int:
    """The most memory that the gateway ever had, as Linux counts it."""
    status = Path(f"/proc/{process.process.pid}/status").read_text(encoding="ascii", errors="replace")
    return 1024 * next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))


def main(argv: list[str]) -> None:
    """Measure each form with a gateway of its own, and print what was measured."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--max-bytes", type=int, default=16 * 2**20, help="of a request")
    parser.add_argument("--in-flight-bytes", type=int, default=48 * 2**20, help="of all requests")
    parser.add_argument("--seconds", type=float, default=30, help="that a request is held")
    options = parser.parse_args(argv)
    for name, load in loads(options.max_bytes).items():
        with gateway(options.max_bytes, options.in_flight_bytes, options.seconds) as process:
            before = peak_bytes(process)
            answered = statuses(process.address, load)
            grown = peak_bytes(process) - before
        refused = answered.count(429)
        print(
            f"{name:16} {before / 2**20:.0f} MiB before, {grown / 2**20:.0f} more: "
            f"{grown / options.in_flight_bytes:.1f} times max_bytes_in_flight; "
            f"{len(answered) - refused} requests held, {refused} refused",
            flush=True,
        )


if __name__ == "__main__":
    main(sys.argv[1:])
