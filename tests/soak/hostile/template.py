"""A stored vector, by someone who has one that matches and is answered yes and no."""

import contextlib
import functools
import hashlib
import itertools
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import numpy as np

from facerec.encoder.v1 import encoder_pb2
from facerec.matcher.v1 import matcher_pb2 as pb
from facerec.matcher.v1 import matcher_pb2_grpc
from facerec.serving.auth.permissions import TRIES_WITH_ENCODINGS
from matcher_service.identification.failed_tries import MATCH_TRIES
from tests.fixtures.clusters import open_migrated
from tests.fixtures.dataset import SPACE
from tests.fixtures.matcher import MatcherProcess
from tests.soak.hostile.recovery import (
    DIMENSIONS,
    Exhausted,
    Knowledge,
    Vector,
    bisect,
    directions,
    nearest_distance,
    points_for,
    walk,
    walk_many,
)
from tests.soak.hostile.report import CheckResult

DISTANCE = 0.35  # of two photos of one person, about
THRESHOLD = 0.6  # Verify's default, which every answer tells
PERSON = "somebody"
REFUSED = (grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.PERMISSION_DENIED)
KEYS = {
    "admin": 'roles = ["admin"]',
    "images": 'roles = ["verify"]',
    "shipped": 'roles = ["verify"]\nencodings = true',
    "more": 'roles = ["verify"]\nencodings = true\nfailed_tries_per_day = {tries}',
    "bisecting": 'roles = ["verify"]\nencodings = true\nfailed_tries_per_day = {tries}',
    "open": 'roles = ["verify"]\nencodings = true\nscores = true',
}


class Attacker:
    """Asks matchers in turn whether vectors are the person's, with one key; counts what comes of it."""

    def __init__(self, stubs: list[Any], key: str) -> None:
        self._stubs = itertools.cycle(stubs)
        self._metadata = [("authorization", f"Bearer {key}")]
        self.asked = self.matched = self.failed = 0

    def matches(self, vector: Vector) -> bool:
        """Whether a vector matches. Raises Exhausted."""
        self.asked += 1
        wire = encoder_pb2.Encoding(values=vector.astype(np.float32), space=SPACE)
        request = pb.VerifyRequest(person_id=PERSON, probe=pb.Probe(encoding=wire))
        try:
            answer = next(self._stubs).Verify(request, metadata=self._metadata, timeout=30)
        except grpc.RpcError as error:
            if error.code() in REFUSED:
                raise Exhausted from None
            raise
        self.matched += answer.match
        self.failed += not answer.match
        return bool(answer.match)


def attack(*, short: bool) -> list[CheckResult]:
    """Try with each kind of key; the last shows that the attack is one."""
    generator = np.random.default_rng(11)
    stored = generator.normal(0, 0.06, DIMENSIONS).astype(np.float32).astype(np.float64)
    (away,) = directions(1, generator)
    start = (stored + DISTANCE * away).astype(np.float32).astype(np.float64)
    tries = 12 if short else 60
    with _matchers(2 if short else 10, tries) as stubs:
        _enroll(stubs[0], stored)
        knows = functools.partial(Knowledge, start, THRESHOLD, DISTANCE)
        return [
            _with_images_alone(Attacker(stubs, "images"), start, tries),
            _with_a_budget(Attacker(stubs, "shipped"), knows(), stored, int(TRIES_WITH_ENCODINGS), "walking"),
            _with_a_budget(Attacker(stubs, "more"), knows(), stored, tries, "walking"),
            _with_a_budget(Attacker(stubs, "bisecting"), knows(), stored, tries, "bisecting"),
            _by_many_matches(stored, knows(certain=True)),
            _without_a_limit(Attacker(stubs, "open"), knows(), stored),
        ]


def _with_images_alone(attacker: Attacker, start: Vector, tries: int) -> CheckResult:
    """A key without `encodings` learns nothing: what it has is what it began with."""
    for _ in range(tries):
        with contextlib.suppress(Exhausted):
            attacker.matches(start)
    decided = attacker.matched + attacker.failed
    return CheckResult(
        "template, key without `encodings`", f"{decided} of {attacker.asked} tries decided", decided == 0
    )


def _with_a_budget(
    attacker: Attacker, knowledge: Knowledge, stored: Vector, tries: int, way: str
) -> CheckResult:
    """A key with `encodings` alone: so many failed tries in all, whichever matchers it asks."""
    generator = np.random.default_rng(5)
    matches, start = attacker.matches, knowledge.start
    with contextlib.suppress(Exhausted):
        while True:
            (direction,) = directions(1, generator)
            knowledge.points.append(
                walk(matches, start, direction, least=0.35, step=0.004)
                if way == "walking"
                else bisect(matches, start, direction, steps=12, most=1.3)
            )
    distance = float(np.linalg.norm(knowledge.stored() - stored))
    least = nearest_distance(DISTANCE, tries)
    taken = attacker.failed + MATCH_TRIES * attacker.matched
    return CheckResult(
        f"template, `encodings` and {tries} failed tries a day, {way}",
        f"{attacker.failed} tries failed, {attacker.matched} matched; {len(knowledge.points)} points; "
        f"from {DISTANCE} to {distance:.3f}, {least:.3f} at best by arithmetic",
        taken <= tries + 1 and distance > 0.9 * least,
    )


def _by_many_matches(stored: Vector, knowledge: Knowledge) -> CheckResult:
    """The same along many directions at once, worked out: no nearer than docs/security.md says."""
    generator = np.random.default_rng(6)
    tries, walked = 40, 20
    for _ in range(points_for(tries, walked)):
        walk_many(stored, knowledge, count=walked, step=0.002, generator=generator)
    distance = float(np.linalg.norm(knowledge.stored() - stored))
    least = nearest_distance(DISTANCE, tries)
    return CheckResult(
        f"template, {tries} tries, {walked} directions walked for each point (worked out)",
        f"from {DISTANCE} to {distance:.3f}, {least:.3f} at best by arithmetic",
        distance > 0.9 * least,
    )


def _without_a_limit(attacker: Attacker, knowledge: Knowledge, stored: Vector) -> CheckResult:
    """A key with `scores` too, which may have as many tries as it likes: the attack is one."""
    found = directions(DIMENSIONS + 3, np.random.default_rng(7))
    with ThreadPoolExecutor(4) as threads:
        ask = functools.partial(bisect, attacker.matches, knowledge.start, steps=16, most=1.3)
        knowledge.points += threads.map(ask, found)
    distance = float(np.linalg.norm(knowledge.stored() - stored))
    return CheckResult(
        "template, key with `encodings` and `scores`: recovered, as it may be",
        f"{attacker.asked} tries; {distance:.1e} away",
        distance < 1e-3,
    )


def _enroll(stub: Any, stored: Vector) -> None:
    wire = encoder_pb2.Encoding(values=stored.astype(np.float32), space=SPACE)
    request = pb.EnrollRequest(person_id=PERSON, items=[pb.EnrollItem(probe=pb.Probe(encoding=wire))])
    stub.Enroll(request, metadata=[("authorization", "Bearer admin")])


@contextlib.contextmanager
def _matchers(count: int, tries: int) -> Iterator[list[Any]]:
    """Stubs of so many matchers over one database, with the keys above."""
    folder = Path(tempfile.mkdtemp(prefix="facerec-hostile-"))
    folder.chmod(0o755)  # under root Postgres runs as another user, which must enter it
    keys = folder / "keys.toml"
    keys.write_text("\n".join(_entry(name, more.format(tries=tries)) for name, more in KEYS.items()))
    try:
        with contextlib.ExitStack() as stack:
            url = stack.enter_context(open_migrated(folder / "data")).url()
            flags = ("--keys-file", str(keys), "--pool-min-size", "1", "--pool-max-size", "4")
            stubs = []
            for _ in range(count):
                process = MatcherProcess(url, *flags)
                stack.callback(process.stop)
                process.event("database_ready")
                channel = stack.enter_context(grpc.insecure_channel(process.address))
                stubs.append(matcher_pb2_grpc.MatcherServiceStub(channel))
            yield stubs
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _entry(name: str, more: str) -> str:
    digest = hashlib.sha256(name.encode()).hexdigest()
    return f'[[keys]]\nname = "{name}"\nsha256 = "{digest}"\n{more}\n'
