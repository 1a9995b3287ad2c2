"""One tenant's key floods the matcher with each kind of work in turn; another's asks for the same."""

import contextlib
import hashlib
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt

from facerec.client import CollectionClient, Encoding, FaceBatch, MatcherClient, Security
from facerec.errors import FacerecError, Reason
from tests.soak.hostile.report import CheckResult
from tests.soak.matcher.stack import Stack

NAME = "fairness"
SPACE = "dlib-resnet-v1/small/150x0.25"
TENANTS = FLOODING, POLITE = "flooding", "polite"
ROLES = '["verify", "identify", "enroll", "manage"]'
SCAN_APART_ABOVE_FACES, SHORT_SCAN_APART_ABOVE_FACES = 2000, 400
MORE_FACES = 1.25  # a collection has more than what is scanned at once
CALLERS = 16
CALLS, SHORT_CALLS = 100, 4
CHUNK = 200
TIMEOUT_SECONDS = 60

Call = Callable[[], object]


class Tenant:
    """One key's clients of one collection, each with work that a flood can be made of."""

    def __init__(self, name: str, address: str, stack: contextlib.ExitStack, *, seed: int) -> None:
        security = Security(api_key=name)
        self._client = stack.enter_context(
            MatcherClient(address, timeout_seconds=TIMEOUT_SECONDS, security=security)
        )
        self._collections = stack.enter_context(
            CollectionClient(address, timeout_seconds=TIMEOUT_SECONDS, security=security)
        )
        self._collection_id = name
        self._random = np.random.default_rng(seed)
        self._lock = threading.Lock()
        self._imports = 0

    def _vectors(self, count: int) -> npt.NDArray[np.float32]:
        with self._lock:
            return (self._random.normal(size=(count, 128)) / 8).astype(np.float32)

    def _face(self) -> Encoding:
        return Encoding(self._vectors(1)[0], SPACE)

    def fill(self, faces: int) -> None:
        """Import the collection's people, of a face each."""
        self._import([f"p{number}" for number in range(faces)])

    def _import(self, people: list[str]) -> None:
        with self._lock:
            self._imports += 1
            import_id = f"i{self._imports}"
        self._client.import_faces(
            [FaceBatch(self._vectors(len(people)), people)],
            space=SPACE,
            import_id=import_id,
            collection_id=self._collection_id,
        )

    def verify(self) -> None:
        """Decide a claim."""
        self._client.verify("p1", self._face(), collection_id=self._collection_id)

    def identify(self) -> None:
        """Search for somebody who is not there."""
        self._client.identify(self._face(), collection_id=self._collection_id)

    def enroll(self) -> None:
        """Add a face to a person whom others of the tenant's calls add faces to."""
        self._client.enroll("crowd", self._face(), collection_id=self._collection_id)

    def import_(self) -> None:
        """Add faces in bulk."""
        self._import(["bulk"] * CHUNK)

    def list_(self) -> None:
        """Read a page of people."""
        next(iter(self._client.list_persons(page_size=1000, collection_id=self._collection_id)))

    def review(self) -> None:
        """Look for people who may be one."""
        next(iter(self._collections.list_duplicates(collection_id=self._collection_id)), None)


@contextlib.contextmanager
def _tenants(scan_apart_above_faces: int) -> Iterator[dict[str, Tenant]]:
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        keys = Path(folder) / "keys.toml"
        keys.write_text(_entry("admin", '["admin"]') + "".join(_entry(name, ROLES) for name in TENANTS))
        flags = ("--keys-file", str(keys), "--scan-apart-above-faces", str(scan_apart_above_faces))
        address = stack.enter_context(Stack.open(*flags, replicas=1)).addresses[0]
        with CollectionClient(address, security=Security(api_key="admin")) as admin:
            for name in TENANTS:
                admin.create_collection(name)
        tenants = {name: Tenant(name, address, stack, seed=seed) for seed, name in enumerate(TENANTS)}
        for tenant in tenants.values():
            tenant.fill(round(MORE_FACES * scan_apart_above_faces))
        yield tenants


def _entry(key: str, roles: str) -> str:
    digest = hashlib.sha256(key.encode()).hexdigest()
    return (
        f'[[keys]]\nname = "{key}"\nsha256 = "{digest}"\nroles = {roles}\nencodings = true\nscores = true\n'
    )


def attack(*, short: bool) -> list[CheckResult]:
    """Flood with each kind of work while the other tenant makes so many calls of it, one by one."""
    calls = SHORT_CALLS if short else CALLS
    with _tenants(SHORT_SCAN_APART_ABOVE_FACES if short else SCAN_APART_ABOVE_FACES) as tenants:
        return [
            _flood(tenants, work.__name__.strip("_"), work, calls)
            for work in (
                Tenant.verify,
                Tenant.identify,
                Tenant.enroll,
                Tenant.import_,
                Tenant.list_,
                Tenant.review,
            )
        ]


def _flood(
    tenants: dict[str, Tenant], kind: str, work: Callable[[Tenant], object], calls: int
) -> CheckResult:
    over, under_way = threading.Event(), threading.Barrier(CALLERS + 1)
    flood: Counter[Reason | None] = Counter()

    def caller(_: int) -> Counter[Reason | None]:
        seen: Counter[Reason | None] = Counter()
        under_way.wait(TIMEOUT_SECONDS)
        while not over.is_set():
            seen[_reason(lambda: work(tenants[FLOODING]))] += 1
        return seen

    with ThreadPoolExecutor(CALLERS) as pool:
        flooding = pool.map(caller, range(CALLERS))
        under_way.wait(TIMEOUT_SECONDS)
        try:
            polite = Counter(_reason(lambda: work(tenants[POLITE])) for _ in range(calls))
        finally:
            over.set()
        for seen in flooding:
            flood += seen
    unexpected = [reason for reason in flood if reason not in (None, Reason.OVERLOADED, Reason.PERSON_FULL)]
    refused = calls - polite[None] - polite[Reason.PERSON_FULL]
    figure = (
        f"{kind}: {refused} of {calls} calls refused, beside {flood.total()} of the flood's "
        f"{CALLERS} callers ({flood[Reason.OVERLOADED]} refused); {len(unexpected)} other errors"
    )
    return CheckResult(NAME, figure, not refused and not unexpected and flood.total() >= CALLERS)


def _reason(work: Call) -> Reason | None:
    try:
        work()
    except FacerecError as error:
        return error.reason
    return None
