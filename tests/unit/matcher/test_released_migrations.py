"""The text of released migrations never changes: databases store the checksums of theirs.

`released.sha256` beside them is what `sha256sum` prints of each migration that a release had. `make release`
writes it. It is empty until the first one.
"""

import hashlib
import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
MIGRATIONS = ROOT / "matcher_service" / "postgres" / "schema"
RELEASED = MIGRATIONS / "released.sha256"
CHANGES = ROOT / "CHANGELOG.md"
_RELEASE = re.compile(r"^## \[?\d+\.\d+\.\d+", re.MULTILINE)


def faults(released: str, files: dict[str, bytes], changes: str) -> list[str]:
    """What is wrong with migrations by their names, the list of those released, and the change log."""
    lines = [line.split() for line in released.splitlines()]
    listed = {name: checksum for checksum, name in lines}
    found = [
        f"{name} was released with another text: undo the change, and put it into a migration of its own"
        for name, checksum in listed.items()
        if hashlib.sha256(files.get(name, b"")).hexdigest() != checksum
    ]
    if _RELEASE.search(changes) and not listed:
        found.append("there is a release and released.sha256 lists nothing: make release writes it")
    if list(listed) != sorted(files)[: len(listed)]:
        found.append("released.sha256 must list every migration up to the last one released, in order")
    return found


def test_migrations_are_as_they_were_released() -> None:
    files = {path.name: path.read_bytes() for path in MIGRATIONS.glob("[0-9]*.sql")}
    assert faults(RELEASED.read_text(), files, CHANGES.read_text()) == []


def test_a_change_a_gap_and_a_release_without_its_list_are_each_reported() -> None:
    files = {"0001_a.sql": b"one", "0002_b.sql": b"two", "0003_c.sql": b"three"}
    lines = [f"{hashlib.sha256(text).hexdigest()}  {name}\n" for name, text in files.items()]
    release = "# Change log\n\n## [1.0.0] - 2027-01-01\n"
    assert faults("".join(lines[:2]), files, release) == []
    (fault,) = faults("".join(lines[:2]), files | {"0001_a.sql": b"One"}, release)
    assert fault.startswith("0001_a.sql was released with another text")
    (fault,) = faults(lines[0] + lines[2], files, release)
    assert fault.startswith("released.sha256 must list every migration")
    (fault,) = faults("", files, release)
    assert fault.startswith("there is a release")
