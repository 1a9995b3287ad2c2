"""One face under several people's ids, where duplicates are refused: the ways that a key may try."""

import contextlib
import hashlib
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from facerec.client import (
    CollectionClient,
    CollectionSettings,
    Encoding,
    FaceBatch,
    MatcherClient,
    Security,
)
from facerec.errors import FacerecError, Reason
from tests.soak.hostile.report import CheckResult
from tests.soak.matcher.stack import Stack

NAME = "duplicates"
SPACE = "dlib-resnet-v1/small/150x0.25"
COLLECTION = "refusing"
AT_ONCE = 8
ROUNDS, SHORT_ROUNDS = 200, 20
KEYS = {"admin": '["admin"]', "enroller": '["enroll", "identify", "manage"]'}
EXPECTED = (Reason.FACE_DUPLICATE, Reason.OVERLOADED)


class Attack:
    """Keys of two roles over two matchers, and new faces."""

    def __init__(self, addresses: list[str], stack: contextlib.ExitStack) -> None:
        def opened(index: int, key: str) -> MatcherClient:
            address = addresses[index % len(addresses)]
            return stack.enter_context(
                MatcherClient(address, timeout_seconds=30, security=Security(api_key=key))
            )

        admin = CollectionClient(addresses[0], security=Security(api_key="admin"))
        self.collections = stack.enter_context(admin)
        self.collections.create_collection(COLLECTION, settings=CollectionSettings(duplicate_policy="refuse"))
        self.admin = opened(0, "admin")
        self.enrollers = [opened(index, "enroller") for index in range(AT_ONCE)]
        self._pool = stack.enter_context(ThreadPoolExecutor(AT_ONCE))
        self._random = np.random.default_rng(1)
        self.batches = 0

    def face(self) -> Encoding:
        """A face that nobody has."""
        drawn = self._random.normal(size=128)
        return Encoding((1.42 * drawn / np.linalg.norm(drawn)).astype(np.float32), SPACE)

    def at_once(self, each: Callable[[int], None]) -> list[Reason | None]:
        """Do something in all places at the same time; the reasons that it was refused for."""
        barrier = threading.Barrier(AT_ONCE)

        def attempt(index: int) -> Reason | None:
            barrier.wait(30)
            return self.reason(lambda: each(index))

        return list(self._pool.map(attempt, range(AT_ONCE)))

    @staticmethod
    def reason(work: Callable[[], object]) -> Reason | None:
        """Why something was refused; None where it was done."""
        try:
            work()
        except FacerecError as error:
            return error.reason
        return None

    def enroll(self, index: int, person_id: str, face: Encoding | str) -> None:
        """Enroll a face, or a stored one by its id, by the key that may do no more."""
        self.enrollers[index].enroll(person_id, face, collection_id=COLLECTION)

    def owners(self, face: Encoding) -> int:
        """How many people have the face."""
        found = self.enrollers[0].identify(face, max_candidates=AT_ONCE, collection_id=COLLECTION)
        return len(found.faces[0].candidates)

    def import_(self, client: MatcherClient, person_id: str, face: Encoding, *, ignore: bool) -> None:
        """Import a face."""
        self.batches += 1
        client.import_faces(
            [FaceBatch(face.values[None], [person_id])],
            space=SPACE,
            import_id=f"import{self.batches}",
            ignore_duplicate_policy=ignore,
            collection_id=COLLECTION,
        )


@contextlib.contextmanager
def _attack() -> Iterator[Attack]:
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        keys = Path(folder) / "keys.toml"
        keys.write_text("\n".join(_entry(key, roles) for key, roles in KEYS.items()))
        running = stack.enter_context(Stack.open("--keys-file", str(keys)))
        yield Attack(running.addresses, stack)


def _entry(key: str, roles: str) -> str:
    digest = hashlib.sha256(key.encode()).hexdigest()
    return (
        f'[[keys]]\nname = "{key}"\nsha256 = "{digest}"\nroles = {roles}\nscores = true\nencodings = true\n'
    )


def attack(*, short: bool) -> list[CheckResult]:
    """Try each way so many rounds."""
    rounds = SHORT_ROUNDS if short else ROUNDS
    with _attack() as running:
        return [
            _race(running, rounds),
            _race_with_merges(running, rounds),
            _race_with_policy(running, rounds),
            _copies(running),
            _imports(running),
        ]


def _finding(way: str, rounds: int, stored_twice: int, unexpected: list[Reason]) -> CheckResult:
    figure = (
        f"{way}: {stored_twice} of {rounds} rounds stored one face under two ids, {len(unexpected)} errors"
    )
    return CheckResult(NAME, figure, not stored_twice and not unexpected)


def _unexpected(reasons: list[Reason | None]) -> list[Reason]:
    return [reason for reason in reasons if reason is not None and reason not in EXPECTED]


def _race(running: Attack, rounds: int) -> CheckResult:
    """Everybody enrolls one new face at once: exactly one is to be taken."""
    stored_twice, unexpected = 0, list[Reason]()
    for number in range(rounds):
        face = running.face()

        def each(index: int, face: Encoding = face, number: int = number) -> None:
            running.enroll(index, f"race{number}-{index}", face)

        reasons = running.at_once(each)
        stored_twice += reasons.count(None) != 1 or running.owners(face) != 1
        unexpected += _unexpected(reasons)
    return _finding(f"{AT_ONCE} calls at once", rounds, stored_twice, unexpected)


def _race_with_merges(running: Attack, rounds: int) -> CheckResult:
    """A person is merged away while faces of theirs are enrolled, which must not create the person again."""
    stored_twice, unexpected = 0, list[Reason]()
    for number in range(rounds):
        face = running.face()
        source, target = f"source{number}", f"target{number}"
        running.enroll(0, source, face)
        running.enroll(0, target, running.face())

        def each(index: int, face: Encoding = face, source: str = source, target: str = target) -> None:
            if index == 0:
                running.enrollers[0].merge_persons(source, target, collection_id=COLLECTION)
            else:
                near = Encoding((face.values * (1 + index / 1000)).astype(np.float32), SPACE)
                running.enroll(index, source, near)

        unexpected += _unexpected(running.at_once(each))
        stored_twice += running.owners(face) != 1
    return _finding("merged meanwhile", rounds, stored_twice, unexpected)


def _race_with_policy(running: Attack, rounds: int) -> CheckResult:
    """The policy is made REFUSE while calls enroll: what is asked for afterwards is refused."""
    stored_twice, unexpected = 0, list[Reason]()
    for number in range(rounds):
        face = running.face()
        running.collections.update_collection(
            CollectionSettings(duplicate_policy="flag"), collection_id=COLLECTION
        )

        def each(index: int, face: Encoding = face, number: int = number) -> None:
            if index == 0:
                running.collections.update_collection(
                    CollectionSettings(duplicate_policy="refuse"), collection_id=COLLECTION
                )
            running.enroll(index, f"policy{number}-{index}", face)

        reasons = running.at_once(each)
        unexpected += _unexpected(reasons)
        # The first was asked for under REFUSE: it is taken where nobody else is, and then nobody else is.
        stored_twice += reasons[0] is None and running.owners(face) != 1
    return _finding("policy changed meanwhile", rounds, stored_twice, unexpected)


def _copies(running: Attack) -> CheckResult:
    """A stored face by its id, a face near another, and a face taken at a distance and then moved."""
    face, shift = running.face(), running.face()
    away = Encoding((face.values + 0.6 * shift.values / 1.42).astype(np.float32), SPACE)
    enrolled = running.enrollers[0].enroll("carol", face, collection_id=COLLECTION)
    tries: list[Callable[[], object]] = [
        lambda: running.enroll(0, "mallory", enrolled.faces[0].face.face_id),
        lambda: running.enroll(0, "mallory", Encoding(face.values * np.float32(1.01), SPACE)),
        lambda: running.enroll(0, "dave", face),
    ]
    running.enroll(0, "dave", away)
    reasons = [running.reason(work) for work in tries]
    passed = sum(reason is not Reason.FACE_DUPLICATE for reason in reasons)
    return CheckResult(NAME, f"copies and near faces: {passed} of {len(tries)} taken", not passed)


def _imports(running: Attack) -> CheckResult:
    """Imports by a key of the role enroll, with and without the policy ignored, and by an admin's."""
    face = running.face()
    running.enroll(0, "erin", face)
    enroller, admin = running.enrollers[0], running.admin
    seen = [
        running.reason(lambda: running.import_(enroller, "mallory", face, ignore=False)),
        running.reason(lambda: running.import_(enroller, "mallory", face, ignore=True)),
        running.reason(lambda: running.import_(admin, "mallory", face, ignore=False)),
    ]
    holds = seen == [Reason.OPTION_INVALID, Reason.NOT_PERMITTED, Reason.OPTION_INVALID]
    holds = holds and running.owners(face) == 1
    running.import_(admin, "mallory", face, ignore=True)
    listed = running.collections.list_duplicates(collection_id=COLLECTION)
    found = any({pair.person_id_a, pair.person_id_b} == {"erin", "mallory"} for pair in listed)
    return CheckResult(
        NAME, f"imports: {seen.count(None)} of 3 taken; one by an admin is listed: {found}", holds and found
    )
