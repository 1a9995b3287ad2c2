"""A caller without scores tries to learn a distance: by modes, settings, faces of its own, by any field."""

import asyncio
import itertools
import shutil
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import grpc.aio
import numpy as np

import facerec.matcher.v1 as pb
from matcher_service.maintenance import runner
from matcher_service.maintenance.runner import MaintenanceOptions
from tests.benchmarks.vectors import Dataset
from tests.e2e.access.conftest import entry
from tests.fixtures import dataset
from tests.fixtures.clusters import open_migrated
from tests.fixtures.matcher import MatcherProcess
from tests.fixtures.vector_encoder import picture, vector_encoder
from tests.soak.hostile.attacker import Attacker
from tests.soak.hostile.guessing import Features, Guess, best_guess, features
from tests.soak.hostile.report import CheckResult

ROLES = ("verify", "identify", "enroll", "manage")
MODE_DISTANCES = (0.2, 0.37, 0.40, 0.44, 0.46, 0.49)
IDENTIFY, VERIFY = 0.5, 0.6  # the thresholds in force
BANDS = (0.05, 0.20, 0.38, 0.45, 0.5, 0.6, 0.75, 0.95)
TARGETS = 50


async def by_mode(attacker: Attacker) -> CheckResult:
    """The mode, exactness and size of searches for probes at distances that all match."""
    kinds = set()
    for distance in MODE_DISTANCES:
        face = await attacker.identify(attacker.at(7, distance))
        kinds.add((face.mode, face.exact, face.faces_searched))
    figure = f"{len(kinds)} kinds of answer for {len(MODE_DISTANCES)} distances within the threshold"
    return CheckResult("scores: the mode of a search", figure, len(kinds) == 1)


async def by_setting(attacker: Attacker) -> CheckResult:
    """Halve the way to a distance by moving acceptance_threshold until the mode flips."""
    name, probe = "scores: acceptance_threshold moved to and fro", attacker.at(7, 0.3217)
    low, high = 0.0, 0.5
    tries = 0
    while high - low > 1e-6:
        tries += 1
        middle = (low + high) / 2
        if await attacker.ask("UpdateCollection", _trust(middle)) is None:
            return CheckResult(name, "refused", True)
        by_index = (await attacker.identify(probe)).mode == pb.SEARCH_MODE_INDEX
        low, high = (low, middle) if by_index else (middle, high)
    await attacker.ask("UpdateCollection", _trust(0.45), "admin")
    return CheckResult(name, f"{high:.6f} found in {tries} searches; it is 0.321700", False)


def _trust(distance: float) -> pb.UpdateCollectionRequest:
    search = pb.SearchPolicy(acceptance_threshold=distance)
    return pb.UpdateCollectionRequest(settings=pb.CollectionSettings(search=search))


async def by_own_faces(attacker: Attacker, rulers: int) -> CheckResult:
    """Enroll faces for the target nearer and nearer to a probe until one of them is its nearest face."""
    probe, own = attacker.at(7, 0.83), list[str]()
    distances = np.linspace(1.3, 0.02, rulers)
    learned = "nothing"
    for distance in distances:
        own.append((await attacker.enroll("p7", attacker.beside(probe, distance))).face.face_id)
        claim = pb.VerifyRequest(person_id="p7", probe=pb.Probe(image=picture(probe)))
        if (await attacker.ask("Verify", claim)).nearest_face_id in own:
            learned = f"more than {distance:.3f}; it is 0.830"
            break
    for face_id in own:
        await attacker.ask("DeleteFace", pb.DeleteFaceRequest(face_id=face_id), "admin")
    return CheckResult(
        "scores: faces of one's own under the target",
        f"{learned}, by {len(own)} enrollments",
        learned == "nothing",
    )


async def by_order(attacker: Attacker, rulers: int) -> CheckResult:
    """Find the target's place among people of the attacker's own at known distances."""
    probe = attacker.at(7, 0.413)
    distances = dict[str, float]()
    for number, distance in enumerate(attacker.random.permutation(np.linspace(0.01, 0.49, rulers))):
        distances[f"own{number:02}"] = float(distance)
        await attacker.enroll(f"own{number:02}", attacker.beside(probe, distance))
    face = await attacker.identify(probe, max_candidates=100)
    order = [candidate.person_id for candidate in face.candidates]
    for person_id in distances:
        await attacker.ask("DeletePerson", pb.DeletePersonRequest(person_id=person_id), "admin")
    place = order.index("p7")
    near = [distances[each] for each in order[:place]]
    rank = sum(distance < 0.413 for distance in distances.values())
    holds = order == sorted(order)
    figure = f"place {place} of {len(order)}, after {len(near)} of one's own; by nearness it would be {rank}"
    return CheckResult("scores: the order of candidates", figure, holds)


async def call(attacker: Attacker, key: str) -> tuple[str, float, Features, float]:
    """One call of chance about a target at a distance of chance: method, distance, answer, seconds."""
    person = int(attacker.random.integers(TARGETS))
    distance = float(attacker.random.uniform(BANDS[0], BANDS[-1]))
    vector, target = attacker.at(person, distance), f"p{person}"
    probe = pb.Probe(image=picture(vector))
    method = str(attacker.random.choice(["Identify", "Identify", "Verify", "Enroll"]))
    if method == "Verify":
        request: Any = pb.VerifyRequest(person_id=target, probe=probe)
    elif method == "Enroll":
        request = pb.EnrollRequest(person_id="new", items=[pb.EnrollItem(probe=probe)])
    else:
        request = pb.IdentifyRequest(probes=[probe])
    began = time.perf_counter()
    answer = await attacker.ask(method, request, key)
    seconds = time.perf_counter() - began
    if method == "Enroll":
        await attacker.ask("DeletePerson", pb.DeletePersonRequest(person_id="new"), "admin")
    return method, distance, features(answer, target), seconds


async def by_any_field(attacker: Attacker, calls: int, key: str) -> tuple[Guess, list[tuple[float, float]]]:
    """The best guess by any field on one side of a threshold; each Identify's distance and seconds."""
    answers: dict[tuple[str, bool], list[tuple[float, Features]]] = {}
    times = []
    for _ in range(calls):
        method, distance, found, seconds = await call(attacker, key)
        threshold = VERIFY if method in ("Verify", "Compare") else IDENTIFY
        answers.setdefault((method, distance <= threshold), []).append((distance, found))
        if method == "Identify":
            times.append((distance, seconds))
    guesses = [best_guess(each) for each in answers.values()]
    return max(guesses, key=lambda guess: guess.accuracy - 3 * (0.25 / guess.calls) ** 0.5), times


def timing(times: list[tuple[float, float]]) -> list[CheckResult]:
    """The median time of Identify by bands of distance, on either side of the threshold."""
    found = []
    for name, bands in (("within", BANDS[:5]), ("beyond", BANDS[4:])):
        medians = [
            1000 * statistics.median(seconds for distance, seconds in times if low < distance <= high)
            for low, high in itertools.pairwise(bands)
        ]
        shown = ", ".join(
            f"{median:.1f} ms to {high}" for median, high in zip(medians, bands[1:], strict=True)
        )
        found.append(
            CheckResult(f"scores: time {name} the threshold", shown, max(medians) < 1.5 * min(medians))
        )
    return found


async def _attack(database_url: str, folder: Path, *, short: bool) -> list[CheckResult]:
    async with _running(database_url, folder, 1500 if short else 50_000) as attacker:
        found = [
            await by_mode(attacker),
            await by_setting(attacker),
            await by_own_faces(attacker, 8 if short else 64),
            await by_order(attacker, 20 if short else 98),
        ]
        calls = 400 if short else 10_000
        for key, holds in (("blind", True), ("sighted", False)):
            guess, times = await by_any_field(attacker, calls if holds else calls // 4, key)
            figure = f"{guess.accuracy:.3f} right by {guess.field}, {guess.bits:.3f} bits, of {guess.calls}"
            name = "scores: the best split on any field" + ("" if holds else ", with scores")
            found.append(CheckResult(name, figure, guess.is_chance == holds))
            if holds and not short:
                found += timing(times)
        return found


@asynccontextmanager
async def _running(database_url: str, folder: Path, people: int) -> AsyncIterator[Attacker]:
    """A matcher over an indexed collection of so many people, two faces each."""
    faces = Dataset(people, 2.0, even=True, seed=3).all()
    connection = await asyncpg.connect(database_url)
    await dataset.load(connection, faces)
    await connection.execute("UPDATE facerec.collection SET index_above_faces = 1000")
    await connection.close()
    assert await runner.run_once(MaintenanceOptions(database_url))
    keys = folder / "keys.toml"
    sighted = entry("sighted", "sighted", ROLES, "scores = true")
    # So many failures are not let through by default: what is asked here is what each answer tells.
    blind = entry("blind", "blind", ROLES, "failed_tries_per_day = 1_000_000")
    keys.write_text(entry("admin", "admin", ["admin"]) + blind + sighted)
    async with vector_encoder() as encoder:
        flags = ("--keys-file", str(keys), "--encoder-address", encoder, "--log-calls", "failed")
        process = await asyncio.to_thread(MatcherProcess, database_url, *flags)
        try:
            await asyncio.to_thread(process.event, "database_ready")
            async with grpc.aio.insecure_channel(process.address) as channel:
                yield Attacker(channel, faces.encodings[::2])
        finally:
            await asyncio.to_thread(process.stop)


def attack(*, short: bool) -> list[CheckResult]:
    """Try each way, and 10,000 calls of chance whose every field is held against the distance."""
    folder = Path(tempfile.mkdtemp(prefix="facerec-soak-"))
    folder.chmod(0o755)  # under root Postgres runs as another user, which must enter it
    try:
        with open_migrated(folder / "data") as server:
            return asyncio.run(_attack(server.url(), folder, short=short))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
