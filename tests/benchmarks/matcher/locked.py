"""The cost of TLS, keys, metrics, logs and audit: Verify without them, and with one after another added."""

import asyncio
import contextlib
import dataclasses
import hashlib
import json
import random
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import grpc.aio
import numpy as np
import trustme

from facerec.client import Security
from tests.benchmarks.matcher import calls, cores, driving
from tests.benchmarks.matcher.stage import Stage
from tests.benchmarks.matcher.tables import Figure, Table
from tests.fixtures.process import ROOT

IN_FLIGHT = 64
REQUESTS = 2000
START_SECONDS = 30.0
KEY = "fr_a-key-of-the-benchmark"
BARE, WHOLE = "tests.benchmarks.matcher.bare", "matcher_service"
GOAL_PERCENT = 85
WITH_A_GOAL = "and a log line a call"
PLAIN = ("--log-calls", "off", "--no-audit-decisions")


def _variants(folder: Path) -> dict[str, tuple[str, tuple[str, ...]]]:
    """The module that serves and its flags, by what is switched on; each has all that came before."""
    tls = ("--tls-cert-file", f"{folder}/server.pem", "--tls-key-file", f"{folder}/server.key")
    keys = ("--keys-file", f"{folder}/keys.toml")
    metrics = ("--admin-address", "127.0.0.1:0")
    logs = ("--log-calls", "all", "--no-audit-decisions")
    return {
        "bare": (BARE, PLAIN),
        "metrics, scraped": (WHOLE, (*PLAIN, *metrics)),
        "and keys": (WHOLE, (*PLAIN, *metrics, *keys)),
        "and TLS": (WHOLE, (*PLAIN, *metrics, *keys, *tls)),
        WITH_A_GOAL: (WHOLE, (*logs, *metrics, *keys, *tls)),
        "and decisions on record": (WHOLE, ("--log-calls", "all", *metrics, *keys, *tls)),
    }


def _write(folder: Path) -> Security:
    ca = trustme.CA()
    made = ca.issue_cert("127.0.0.1", "localhost")
    ca.cert_pem.write_to_path(str(folder / "ca.pem"))
    made.cert_chain_pems[0].write_to_path(str(folder / "server.pem"))
    made.private_key_pem.write_to_path(str(folder / "server.key"))
    digest = hashlib.sha256(KEY.encode()).hexdigest()
    entry = f'[[keys]]\nname = "bench"\nsha256 = "{digest}"\nroles = ["verify"]\n'
    entry += "scores = true\nencodings = true\n"
    others = "".join(
        f'[[keys]]\nname = "other-{number}"\nsha256 = "{number:064x}"\nroles = ["verify"]\n'
        for number in range(100)
    )
    (folder / "keys.toml").write_text(others + entry)
    return Security(api_key=KEY, ca_file=folder / "ca.pem")


@dataclasses.dataclass(frozen=True)
class Server:
    """Where a matcher listens, and where its metrics are, if anywhere."""

    address: str
    admin: str | None


@contextlib.contextmanager
def _running(stage: Stage, module: str, flags: tuple[str, ...], log: Path) -> Iterator[Server]:
    """A matcher on its core, its log in a file: a pipe would wake a reader beside the client at each line."""
    command = [sys.executable, "-m", module, "serve", "--address", "127.0.0.1:0", "--log-format", "json"]
    with cores.on(stage.cores.matcher), log.open("w") as file:
        process = subprocess.Popen([*command, "--database-url", stage.url, *flags], cwd=ROOT, stderr=file)
    try:
        seen: dict[str, Any] = {}
        ends = time.monotonic() + START_SECONDS
        while not {"listening", "database_ready"} <= set(seen):
            assert time.monotonic() < ends, log.read_text()
            time.sleep(0.1)
            lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
            seen = {line["event"]: line for line in lines}
        yield Server(seen["listening"]["address"], seen["listening"]["admin"])
    finally:
        process.terminate()
        process.wait(30)


def _scrape(address: str) -> None:
    """Read the metrics, as Prometheus would."""
    with urllib.request.urlopen(f"http://{address}/metrics") as answer:
        answer.read()


async def run(stage: Stage, *, rounds: int = 20, seconds: float = 1.2) -> Table:
    """Measure every variant in each round, in another order each time; medians of the ratios."""
    turns = random.Random(1)
    probes = stage.dataset.genuine(REQUESTS, draw=11)
    requests = [
        calls.verify(int(person), vector).SerializeToString()
        for person, vector in zip(probes.people, probes.encodings, strict=True)
    ]
    found: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as made:
        security, variants = _write(Path(made)), _variants(Path(made))
        async with contextlib.AsyncExitStack() as stack:
            sends: dict[str, driving.Send] = {}
            admins: dict[str, str | None] = {}
            for name, (module, flags) in variants.items():
                process = stack.enter_context(
                    _running(stage, module, flags, Path(made) / f"{len(sends)}.log")
                )
                channel = await stack.enter_async_context(
                    grpc.aio.secure_channel(process.address, security.credentials())
                    if "--tls-cert-file" in flags
                    else grpc.aio.insecure_channel(process.address)
                )
                verify: Any = channel.unary_unary("/facerec.matcher.v1.MatcherService/Verify")
                metadata = security.metadata(process.address) if "--keys-file" in flags else ()
                sends[name] = partial(_send, verify, requests, metadata)
                admins[name] = process.admin
            for _ in range(rounds):
                for name in turns.sample(list(sends), len(sends)):
                    send, admin = sends[name], admins[name]
                    if admin:
                        await asyncio.to_thread(_scrape, admin)
                    found.setdefault(name, []).append(
                        await driving.rate(send, in_flight=IN_FLIGHT, seconds=seconds)
                    )
    bare = np.array(found["bare"])
    figures = [Figure.plain("bare", float(np.median(bare)), " a second")]
    for name in list(sends)[1:]:
        label, percent = f"{name}, of bare", 100 * float(np.median(np.array(found[name]) / bare))
        figures.append(
            Figure.at_least(label, percent, GOAL_PERCENT, " %")
            if name == WITH_A_GOAL
            else Figure.plain(label, percent, " %")
        )
    return Table.of_figures(f"Verify locked and watched, {IN_FLIGHT} in flight", figures)


async def _send(
    verify: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes],
    requests: list[bytes],
    metadata: tuple[tuple[str, str], ...],
    number: int,
) -> None:
    await verify(requests[number % len(requests)], metadata=metadata)
