"""Each command's table at narrow and wide terminals, over a real stack."""

import re
from pathlib import Path

import numpy as np
import pytest

from tests.benchmarks.vectors import Dataset
from tests.e2e.cli.conftest import Ran, Terminal

WIDE = "wide"
LONGEST_ID = "p" * 125
STYLES = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture(scope="module")
def people(terminal: Terminal, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A collection of people whose ids and names are as long as they may be."""
    assert not terminal.run("collections", "create", WIDE, "--name", "山" * 80, "--json").code
    faces = Dataset(200, photos=2, even=True, seed=9).all()
    path = tmp_path_factory.mktemp("wide") / "in.npz"
    names = np.array([f"{LONGEST_ID}{number:03}" for number in faces.people])
    np.savez(path, encodings=faces.encodings, person_ids=names, display_names=np.array(["é" * 60] * 400))
    assert not terminal.run("import", path, "--collection", WIDE, "--json").code


@pytest.mark.usefixtures("people")
@pytest.mark.parametrize("width", [60, 80, 200])
@pytest.mark.parametrize(
    "command",
    [
        ("people",),
        ("people", "show", f"{LONGEST_ID}007"),
        ("collections", "show", WIDE),
        ("duplicates", "--max-distance", "0.6"),
        ("audit", "--changes"),
    ],
    ids=lambda command: command[0],
)
def test_no_table_cuts_an_id_or_a_figure(terminal: Terminal, command: tuple[str, ...], width: int) -> None:
    collection = () if command[0] == "collections" else ("--collection", WIDE)
    check_whole(terminal, width, *command, *collection)


@pytest.mark.usefixtures("people")
@pytest.mark.parametrize("width", [60, 80, 200])
def test_tables_of_collections_and_of_a_photos_faces_are_complete(
    terminal: Terminal, group: Path, width: int
) -> None:
    check_whole(terminal, width, "collections")
    check_whole(terminal, width, "encode", group)
    check_whole(terminal, width, "identify", group, "--collection", WIDE)


def check_whole(terminal: Terminal, width: int, *command: object) -> None:
    """Every value that a pipe gets is on a terminal of so many columns too, in one piece."""
    piped, shown = terminal.run(*command), at(terminal, width, *command)
    assert (shown.code, "…" in shown.out) == (piped.code, False)
    rows = re.split(r"^-+$", piped.out, flags=re.MULTILINE)[1].splitlines()
    values = {value for row in rows for value in re.split(r"\s{2,}", row.strip()) if value}
    assert len(values) >= 4
    plain = STYLES.sub("", shown.out)
    assert {value for value in values if value not in plain} == set()


def at(terminal: Terminal, width: int, *command: object) -> Ran:
    """What a command shows on a terminal of so many columns."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FORCE_COLOR", "1")
        patch.setenv("COLUMNS", str(width))
        return terminal.run(*command)
