"""An import at a terminal: continued after an interruption, and repeated after it was finished."""

import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from facerec.cli.transfer import jobs
from facerec.client import FaceBatch, MatcherClient
from facerec.contract import DEFAULT_SPACE
from facerec.sources import files
from facerec.sources import rows as source_rows
from facerec.sources.rows import Refuse, Row
from tests.benchmarks.vectors import Dataset
from tests.e2e.cli.conftest import Prepared, Terminal

MOVED = ("--collection", "moved")
PEOPLE = ("ann", "bob", "cid", "dan")


@pytest.fixture
def source(prepared: Prepared, tmp_path: Path) -> Path:
    """A file of four people's faces, for a collection that has nobody."""
    prepared.collection("moved")
    faces = Dataset(4, photos=1, even=True, seed=3).all()
    path = tmp_path / "in.npz"
    np.savez(path, encodings=faces.encodings, person_ids=np.array(PEOPLE))
    return path


def interrupted_after(terminal: Terminal, source: Path, count: int) -> None:
    """Bring the first rows of the import in, as a client that was killed then."""
    found = list(files.rows(source, "npz", lambda *said: pytest.fail(str(said))))[:count]
    digest = files.digest(source)
    job = jobs.Job(jobs.Reader(digest, nothing(), nothing), "", False, "moved")
    batch = FaceBatch(np.stack([row.encoding for row in found]), [row.person_id for row in found])
    with MatcherClient(terminal.matcher) as client:
        client.import_faces([batch], space=DEFAULT_SPACE, import_id=job.import_id(0), collection_id="moved")


async def nothing() -> AsyncIterator[Row]:
    none: tuple[Row, ...] = ()
    for row in none:
        yield row


def test_repeating_an_import_adds_erased_people_again_as_its_dry_run_says(
    terminal: Terminal, source: Path
) -> None:
    command = ("import", source, *MOVED)
    assert terminal.run(*command).out == "4 faces added, 0 already there, 0 refused; 4 new people\n"
    assert terminal.run(*command).out == "0 faces added, 4 already there, 0 refused; 0 new people\n"
    for person in PEOPLE[:3]:
        assert terminal.run("people", "delete", person, "--yes", *MOVED).code == 0
    dry = terminal.run(*command, "--dry-run")
    assert dry.out == "3 faces would be added, 1 already there, 0 refused; 3 new people\n"
    again = terminal.run(*command, "--json").json
    assert (again["faces_added"], again["faces_already_there"], again["first_row"]) == (3, 1, 0)
    assert terminal.run("people", *MOVED).out.endswith("4 people\n")


def test_an_interrupted_import_continues_where_it_stopped_and_says_so(
    terminal: Terminal, source: Path
) -> None:
    interrupted_after(terminal, source, 3)
    ran = terminal.run("import", source, *MOVED)
    assert ran.out == "1 face added, 0 already there, 0 refused; 1 new person\n"
    assert ran.err == "resuming at row 4, where an earlier run ended\n"
    assert terminal.run("import", source, *MOVED, "--json").json["faces_already_there"] == 4


def test_invalid_rows_are_reported_once_when_a_finished_import_is_repeated(
    terminal: Terminal, source: Path, tmp_path: Path
) -> None:
    with np.load(source) as arrays:
        encodings = arrays["encodings"]
    path = tmp_path / "faulty.jsonl"
    lines = ["{}", *(row_line(name, vector) for name, vector in zip(PEOPLE, encodings, strict=True))]
    path.write_text("\n".join(lines))
    first, second = (terminal.run("import", path, *MOVED) for _ in range(2))
    assert first.out == "4 faces added, 0 already there, 1 refused; 4 new people\n"
    assert second.out == "0 faces added, 4 already there, 1 refused; 0 new people\n"
    assert (second.code, second.err, second.err.count("refused")) == (1, first.err, 1)


def row_line(name: str, vector: npt.NDArray[np.float32]) -> str:
    return f'{{"person_id": "{name}", "encoding": {vector.tolist()}}}'


def test_an_interruption_says_how_many_faces_are_stored_and_how_to_continue(
    terminal: Terminal, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "CALL_BATCHES", 1)
    monkeypatch.setattr(source_rows, "BATCH_FACES", 2)
    read = files.rows

    def interrupting(
        path: Path, format: str, refuse: Refuse, progress: Callable[[float], None]
    ) -> Iterator[Row]:
        for number, row in enumerate(read(path, format, refuse, progress)):
            if number == 2:
                os.kill(os.getpid(), signal.SIGINT)
            yield row

    with monkeypatch.context() as patch:
        patch.setattr(files, "rows", interrupting)
        ran = terminal.run("import", source, *MOVED)
    assert (ran.code, ran.out) == (130, "")
    assert ran.err == "2 faces are imported; run it again to resume at row 3\ninterrupted\n"
    again = terminal.run("import", source, *MOVED, "--json").json
    assert (again["first_row"], again["faces_added"]) == (2, 2)
