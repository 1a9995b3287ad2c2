"""Costly files are refused soon, in little memory, and with a plain message."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.unit.sources import hostile

MAX_CPU_SECONDS = 5  # it is about one where the machine does nothing else
MAX_MIB = 200

Found = Mapping[str, Mapping[str, Any]]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Found:
    """What reading each took, in processes of their own."""
    folder = tmp_path_factory.mktemp("hostile")
    paths = []
    for name, data in hostile.files().items():
        paths.append(folder / name)
        paths[-1].write_bytes(data)
    command = [sys.executable, "-m", "tests.unit.sources.measure", *map(str, paths)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    for path in paths:
        path.unlink()
    return {Path(each["file"]).name: each for each in map(json.loads, done.stdout.splitlines())}


NAMES = hostile.names()


@pytest.mark.parametrize("name", NAMES)
def test_a_hostile_file_is_refused_completely_or_by_row(found: Found, name: str) -> None:
    took = found[name]
    assert (took["faces"], took["kind"]) in ((0, "SourceRefused"), (0, "")), took
    assert took["refused"] or took["error"]
    assert "\n" not in took["error"]
    assert took["error"].isprintable()


@pytest.mark.parametrize("name", NAMES)
def test_a_hostile_file_takes_little_time_and_memory(found: Found, name: str) -> None:
    assert found[name]["seconds"] < MAX_CPU_SECONDS
    assert found[name]["mib"] < MAX_MIB


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Latin-1.csv", "line 2: it is not UTF-8: convert the file with `iconv -f WINDOWS-1252 -t UTF-8`"),
        ("Latin-1.jsonl", "line 1: it is not UTF-8: convert"),
        ("UTF-16.csv", "line 1: it is not UTF-8: convert the file with `iconv -f UTF-16 -t UTF-8`"),
        ("a quote that is never closed.csv", "close each quote"),
        ("a line of 3,000,000 characters.jsonl", "line 1: a face takes more than 1 MiB"),
        ("a column too few.csv", "line 1: a CSV needs the columns person_id, and encoding or e0 to e127"),
        ("copies of 4 MiB by encode.pkl", "would fill more than 8 times as much memory"),
        ("200,000 rows of one.pkl", "write it again from the encodings themselves, each face once"),
        (
            "a whole number of 2 MiB.pkl",
            "byte 20: the pickle is not imported: it has a value of 2,097,152 bytes",
        ),
        ("encrypted.npz", "encodings: it is encrypted"),
        ("a checksum that is wrong.npz", "person_ids: it is damaged (BadZipFile): write it again"),
        ("objects.npz", "encodings: it is of type object, and not of numbers"),
        ("2,000,000,000 rows of nothing.npz", "encodings: it has shape (2000000000, 0), and not (n, 128)"),
    ],
)
def test_a_refused_source_says_where_and_how_to_fix_it(found: Found, name: str, said: str) -> None:
    assert said in found[name]["error"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("a number of 4,000 digits.jsonl", "line 1: encoding: an encoding is a list of numbers from -1000"),
        ("half a character.jsonl", "line 1: person_id: it has half a character"),
        ("a time before all time.jsonl", "line 1: expire_time: a time needs a time zone"),
        ("a key twice.jsonl", "line 1: : the line's JSON object has a key twice"),
        ("nothing in numbers.jsonl", "line 1: encoding: an encoding is a list of numbers"),
        ("rows of other lengths.csv", "line 2: : it has 1 columns, and the header has 2"),
        ("a list of itself.pkl", "row 0: encoding: an encoding has 128 numbers, and this one has 1"),
    ],
)
def test_a_refused_row_says_which_field_and_how_to_fix_it(found: Found, name: str, said: str) -> None:
    assert said in found[name]["first"][0]
