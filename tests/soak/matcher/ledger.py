"""What callers were answered, and what may therefore be stored."""

import collections
import dataclasses
import enum

from tests.soak.matcher.faces import Place


@dataclasses.dataclass
class Entry:
    """One face of one enrollment. A receipt tells how often it was erased, unless an answer got lost."""

    place: Place
    face_id: str | None = None  # once acknowledged
    erased: int = 0
    gone: bool = False  # an erasure was acknowledged after the enrollment
    receipt_lost: bool = False  # an attempt at the erasure had no answer, so a count of 0 tells nothing


@dataclasses.dataclass(frozen=True)
class Stored:
    """A face found at the end."""

    place: Place
    face_id: str


class Fault(enum.Enum):
    """What can be wrong with a face."""

    LOST = "lost"  # acknowledged, and neither stored nor in a receipt
    STORED_TWICE = "stored twice"  # one enrollment that took effect twice
    MISPLACED = "in the wrong collection"  # or of the wrong person
    STRAY = "never acknowledged"  # stored, and no caller knows it


@dataclasses.dataclass
class Verdict:
    """How many faces have which fault, with words on the first few."""

    counts: collections.Counter[Fault] = dataclasses.field(default_factory=collections.Counter)
    words: list[str] = dataclasses.field(default_factory=list)

    def add(self, fault: Fault, words: str) -> None:
        """Count a face."""
        self.counts[fault] += 1
        if len(self.words) < 5:
            self.words.append(f"{fault.value}: {words}")


class Ledger:
    """The faces by number."""

    def __init__(self) -> None:
        self.entries: dict[int, Entry] = {}
        self.enrollments = 0  # acknowledged, each counted once
        self.replays = 0  # calls made again after their answer
        self.different_replays: list[str] = []  # replays that were answered otherwise than the first call
        self.retries: collections.Counter[str] = collections.Counter()  # attempts without success, by reason
        self.surprises: collections.Counter[str] = collections.Counter()  # errors no caller should see

    def __repr__(self) -> str:
        counts = f"enrollments={self.enrollments}, replays={self.replays}, retries={dict(self.retries)}"
        return (
            f"Ledger({counts}, surprises={dict(self.surprises)}, different_replays={self.different_replays})"
        )

    def compare(self, stored: dict[int, list[Stored]]) -> Verdict:
        """Compare what is stored, by face, with what was answered."""
        verdict = Verdict()
        for number in stored.keys() - self.entries.keys():
            for face in stored[number]:
                verdict.add(Fault.STRAY, f"{face}")
        for number, entry in self.entries.items():
            found = stored.get(number, [])
            for fault in _faults(entry, found):
                verdict.add(fault, f"face {number}: {entry}, found {found}")
        return verdict


def _faults(entry: Entry, found: list[Stored]) -> set[Fault]:
    faults = set()
    if any(face.place != entry.place for face in found):
        faults.add(Fault.MISPLACED)
    if entry.erased + len(found) > 1 or (entry.gone and found):
        faults.add(Fault.STORED_TWICE)
    if entry.face_id is not None and not entry.gone:
        if entry.face_id not in {face.face_id for face in found}:
            faults.add(Fault.LOST)
    elif entry.gone and entry.face_id is not None and not entry.erased and not entry.receipt_lost:
        faults.add(Fault.LOST)  # it was gone before it was erased
    return faults
