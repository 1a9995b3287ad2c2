"""No code depends on the text of a database error, whose language is that of lc_messages."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
FOLDERS = ("matcher_service", "facerec/serving", "facerec/local", "encoder_service")
# A vacuum's report is in prose alone; it is asked for in English, and other words count as nothing done.
ALLOWED = {"matcher_service/maintenance/scrubbing.py"}
WORDS = {"message", "detail", "hint", "args", "details"}
METHODS = {
    "startswith",
    "endswith",
    "find",
    "index",
    "count",
    "search",
    "match",
    "fullmatch",
    "findall",
    "split",
}


def decisions(source: str) -> list[int]:
    """The lines that compare, or look into, the words of an exception that was caught or raised."""
    found = []
    for handler in ast.walk(ast.parse(source)):
        if not isinstance(handler, ast.ExceptHandler) or handler.name is None:
            continue
        for node in ast.walk(handler):
            if _looks(node) and any(_is_words(part, handler.name) for part in ast.walk(node)):
                found.append(getattr(node, "lineno", 0))
    return found


def _looks(node: ast.AST) -> bool:
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Attribute) and node.func.attr in METHODS
    return isinstance(node, ast.Compare)


def _is_words(node: ast.AST, error: str) -> bool:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("str", "repr"):
        return any(isinstance(part, ast.Name) and part.id == error for part in node.args)
    return (
        isinstance(node, ast.Attribute)
        and node.attr in WORDS
        and isinstance(node.value, ast.Name)
        and node.value.id == error
    )


def test_no_module_decides_by_the_text_of_an_error() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for folder in FOLDERS
        for path in sorted((ROOT / folder).rglob("*.py"))
        if str(path.relative_to(ROOT)) not in ALLOWED
        for line in decisions(path.read_text())
    ]
    assert found == []


@pytest.mark.parametrize(
    "test",
    [
        '"gone" in str(error)',
        'error.message == "gone"',
        'error.args[0].startswith("gone")',
        "re.search(P, str(error))",
    ],
)
def test_each_way_to_decide_by_text_is_found(test: str) -> None:
    source = f"try:\n    work()\nexcept PostgresError as error:\n    if {test}:\n        raise\n"
    assert decisions(source) == [4]
