"""An import that is killed again and again, its client, its matcher or its Postgres, and loses nothing.

`python -m tests.soak.imports [--faces 1000000] [--kills 10]`
"""

import argparse
import asyncio
import dataclasses
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from matcher_service.postgres.statements import partition_name
from tests.benchmarks.vectors import Dataset
from tests.soak.matcher.stack import Stack, connected

VICTIMS = ("client", "matcher", "postgres")
LONGEST_SECONDS = 600.0  # ends a soak whose import makes no progress


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What was there in the end, and what was done to it on the way."""

    expected: int
    stored: int
    stored_twice: int
    lost: int
    wrong_means: int
    kills: dict[str, int]
    seconds: float
    report: dict[str, int]


def attempt(faces: int, kills: int, *, seed: int = 1) -> Outcome:
    """Import a generated dataset while processes are killed, until every face is in."""
    chosen = random.Random(seed)
    with Stack.open(replicas=1) as stack, tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "gallery.npz"
        dataset = Dataset(faces // 2, photos=2, even=True, seed=seed).all()
        people = np.array([f"p{number}" for number in dataset.people])
        np.savez(source, encodings=dataset.encodings, person_ids=people)
        address = stack.addresses[0]
        done: dict[str, int] = dict.fromkeys(VICTIMS, 0)
        began = time.monotonic()
        client = _start(source, address)
        for turn in range(kills):
            client = _until_in(
                stack, client, source, chosen.randrange(1, faces // kills) + turn * faces // kills
            )
            if client.poll() == 0:
                break
            victim = VICTIMS[turn % len(VICTIMS)]
            _kill(stack, client, victim)
            done[victim] += 1
            if client.poll() is not None:
                client.communicate()
                client = _start(source, address)
        report = _finish(client, source, address)
        seconds = time.monotonic() - began
        return asyncio.run(_count(stack.database_url, people, done, seconds, report))


def _start(source: Path, address: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "facerec", "import", str(source), "--matcher", address, "--json"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def _until_in(stack: Stack, client: subprocess.Popen[str], source: Path, faces: int) -> subprocess.Popen[str]:
    """Wait until so many faces are in, or all; returns the client, another one where it gave up meanwhile."""
    stored = "SELECT coalesce(max(next_row), 0) FROM facerec.face_import"

    async def rows() -> int:
        async with connected(stack.database_url) as connection:
            return int(await connection.fetchval(stored))

    ends = time.monotonic() + LONGEST_SECONDS
    while client.poll() != 0 and asyncio.run(rows()) < faces:
        assert time.monotonic() < ends, "the import stands still"
        if client.poll() is not None:
            client.communicate()
            client = _start(source, stack.addresses[0])
        time.sleep(0.02)
    return client


def _kill(stack: Stack, client: "subprocess.Popen[str]", victim: str) -> None:
    if victim == "client":
        client.send_signal(signal.SIGKILL)
        client.communicate(timeout=LONGEST_SECONDS)
    elif victim == "matcher":
        stack.replicas[0].kill()
        stack.replicas[0].start()
    else:
        stack.kill_postgres()
        stack.start_postgres()


def _finish(client: "subprocess.Popen[str]", source: Path, address: str) -> dict[str, int]:
    """Let it end, and run it again where it gave up: the last run tells of itself, and where it went on."""
    for _ in range(20):
        out, _ = client.communicate(timeout=600)
        if client.returncode == 0:
            report: dict[str, int] = json.loads(out)
            return report
        client = _start(source, address)
    raise AssertionError("the import never came to its end")


async def _count(
    url: str, people: "np.ndarray[tuple[int], np.dtype[np.str_]]", kills: dict[str, int], seconds: float,
    report: dict[str, int],
) -> Outcome:  # fmt: skip
    face, person = (partition_name(parent, "default") for parent in ("face", "person"))
    async with connected(url) as connection:
        stored = await connection.fetchval(f"SELECT count(*) FROM facerec.{face}")
        each = await connection.fetch(
            f"SELECT p.person_id, count(f.*) AS faces, count(DISTINCT f.encoding::text) AS kinds "
            f"FROM facerec.{person} p LEFT JOIN facerec.{face} f USING (person_key) GROUP BY 1"
        )
        wrong = await connection.fetchval(
            f"SELECT count(*) FROM facerec.{person} p WHERE p.centroid <-> "
            f"(SELECT avg(f.encoding) FROM facerec.{face} f WHERE f.person_key = p.person_key) > 1e-5"
        )
    names, counts = np.unique(people, return_counts=True)
    wanted = dict(zip(names.tolist(), counts.tolist(), strict=True))
    have = {row["person_id"]: row["kinds"] for row in each}
    lost = sum(max(0, count - have.get(name, 0)) for name, count in wanted.items())
    stored_twice = sum(row["faces"] - row["kinds"] for row in each)
    return Outcome(len(people), stored, stored_twice, lost, wrong, kills, seconds, report)


def main() -> int:
    """Print the outcome; exit code 1 where anything was lost or stored twice."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak.imports")
    parser.add_argument("--faces", type=int, default=1_000_000)
    parser.add_argument("--kills", type=int, default=10)
    given = parser.parse_args()
    outcome = attempt(given.faces, given.kills)
    for name, value in dataclasses.asdict(outcome).items():
        print(f"{name}: {value}")
    return int(bool(outcome.lost or outcome.stored_twice or outcome.stored != outcome.expected))


if __name__ == "__main__":
    sys.exit(main())
