"""Pictures a second over gRPC, from the service as operators run it."""

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from facerec.client import EncoderClient
from tests.benchmarks.encoder import engine, pictures
from tests.benchmarks.gpu import effort
from tests.benchmarks.gpu.effort import Effort
from tests.benchmarks.gpu.rows import Row
from tests.fixtures.process import ROOT, ServiceProcess

GOAL: Final = 5_000.0
THREADS: Final = 4
"""Of each process that calls the service; each thread has one call in flight."""


def call_on(address: str, image: bytes, seconds: float) -> int:
    """Call with every thread for some seconds; return how many pictures were answered."""
    done = [0] * THREADS
    with EncoderClient(address, timeout_seconds=60) as client:
        client.encode(image)
        end = time.monotonic() + seconds

        def ask(index: int) -> None:
            while time.monotonic() < end:
                client.encode(image)
                done[index] += 1

        callers = [threading.Thread(target=ask, args=(index,)) for index in range(THREADS)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
    return sum(done)


def served(given: Effort, address: str, name: str, image: bytes) -> Row:
    """Pictures a second that all clients get together."""
    with tempfile.NamedTemporaryFile(suffix=".jpg") as file:
        file.write(image)
        file.flush()
        command = [
            sys.executable,
            "-m",
            __spec__.name,
            "call",
            address,
            file.name,
            str(given.serving_seconds),
        ]
        clients = [
            subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
            for _ in range(given.clients)
        ]
        answered = sum(int(client.communicate()[0]) for client in clients)
    per_second = answered / given.serving_seconds
    threads = f"{given.clients * THREADS} client threads"
    row = Row("end to end, pictures a second", f"{name}, {threads}", f"{per_second:,.0f}")
    return row.against(GOAL, per_second) if given.on_gpu and name == "640 x 480" else row


def start(given: Effort, *flags: str) -> ServiceProcess:
    """An encoder on the device, on a free port of loopback."""
    cache = "--model-cache-dir", str(engine.MODELS)
    return ServiceProcess("encoder_service", *cache, "--provider", given.provider, *flags)


def serving_rows(given: Effort, threads: int) -> Iterator[Row]:
    """A service with so many threads for images, pictures of two sizes, and its end."""
    begin = time.monotonic()
    server = start(given, "--threads", str(threads))
    try:
        server.event("serving")
        took = time.monotonic() - begin
        yield Row("service", f"{threads} threads, seconds until it serves", f"{took:.0f}")
        for name, image in (("640 x 480", pictures.camera_photo()), ("4000 x 3000", pictures.phone_photo())):
            yield served(given, server.address, name, image)
    finally:
        code = server.stop()
    yield Row("service", "exit status after SIGTERM", str(code), "ok" if code == 0 else "FAILED")


def run(given: Effort) -> Iterator[Row]:
    """As many threads as cores; on a GPU twice as many too, as a thread waits while its picture is scored."""
    cores = len(os.sched_getaffinity(0))
    for threads in (cores, 2 * cores) if given.on_gpu else (cores,):
        yield from serving_rows(given, threads)


if __name__ == "__main__":
    if sys.argv[1] == "call":
        print(call_on(sys.argv[2], Path(sys.argv[3]).read_bytes(), float(sys.argv[4])))
    else:
        for row in run(effort.chosen(sys.argv[1])):
            row.report()
