"""The examples in Python, TypeScript and Go print the same of their walk, over TLS and with a key."""

import sys
from pathlib import Path

import pytest

from tests.e2e.matcher.documented import all_blocks, page
from tests.fixtures.process import ROOT
from tests.languages.building import EXAMPLES, go, run

WALK = """\
created the collection walk
enrolled obama: 2 faces
enrolled biden: 1 of 2 faces is like obama
moved 1 face to obama, who has 3
in berlin: obama
in hamburg: nobody
renamed obama to employee-44
verified employee-44: match
employee-44 has 3 faces
biden has 1 faces
biden has 0 labels
refused obama: PERSON_NOT_FOUND person_id
people: biden, employee-44
erased 2 people and 4 faces: pending
deleted the collection walk
"""


def test_the_walk_in_python(arguments: list[str | Path], caller: dict[str, str], tmp_path: Path) -> None:
    environment = caller | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, EXAMPLES / "python" / "walk.py", *arguments]
    assert run(command, tmp_path, environment) == WALK


@pytest.mark.timeout(900)
def test_the_walk_in_typescript(
    package: Path, clone: Path, arguments: list[str | Path], caller: dict[str, str]
) -> None:
    assert package.exists()  # the example's dependency is the folder in which it was built
    example = clone / "examples" / "typescript"
    run(["npm", "ci", "--ignore-scripts"], example)
    run(["npm", "run", "build"], example)
    assert run(["npm", "start", "--silent", "--", *arguments], example, caller) == WALK


@pytest.mark.timeout(900)
def test_the_walk_in_go(gopath: Path, arguments: list[str | Path], caller: dict[str, str]) -> None:
    assert run(["gofmt", "-l", "."], EXAMPLES / "go") == ""
    go(gopath, "example.com/walk", "vet", ".")
    go(gopath, "example.com/walk", "build", "-o", "walk", ".")
    module = gopath / "src" / "example.com" / "walk"
    assert run([module / "walk", *arguments], module, caller) == WALK


def shown(*languages: str) -> list[tuple[str, str]]:
    """Language and content of the blocks of docs/clients.md in these languages."""
    return [block for block in all_blocks(page("docs/clients.md")) if block[0] in languages]


@pytest.mark.parametrize(("language", "content"), shown("ts", "go"))
def test_what_the_clients_page_shows_is_in_the_examples(language: str, content: str) -> None:
    folder = {"ts": EXAMPLES / "typescript" / "src", "go": EXAMPLES / "go"}[language]
    assert any(content in path.read_text(encoding="utf-8") for path in folder.glob(f"*.{language}"))
