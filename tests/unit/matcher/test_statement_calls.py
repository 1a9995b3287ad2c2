"""Every call of a statement gives the values that the statement takes, and every statement is called."""

import ast
from collections.abc import Iterator
from pathlib import Path

from matcher_service.postgres.statements import FILES, load

PACKAGE = Path(__file__).parents[3] / "matcher_service"
METHODS = {"row", "required_row", "rows", "required_rows", "value", "execute", "execute_named"}
OF_THE_DRIVER = {"timeout_seconds"}
IDENTIFIERS = {"index", "lists"}  # names of a table or an index, by execute_named


def calls() -> Iterator[tuple[str, str, set[str] | None]]:
    """Where a statement is called, its name, and the names of the values; None where some are unpacked."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args):
                continue
            name = node.args[0]
            if node.func.attr in METHODS and isinstance(name, ast.Constant) and name.value in KNOWN:
                unpacked = any(keyword.arg is None for keyword in node.keywords)
                given = {keyword.arg for keyword in node.keywords if keyword.arg} - OF_THE_DRIVER
                yield (
                    f"{path.relative_to(PACKAGE)}:{node.lineno}",
                    str(name.value),
                    None if unpacked else given,
                )


KNOWN = {name for role in FILES for name in load(role)}


def test_a_statement_is_given_what_it_takes() -> None:
    checked, wrong = 0, []
    for where, name, given in calls():
        if given is None:
            continue
        checked += 1
        taken = [set(load(role)[name].parameters) - {"collection_id"} for role in FILES if name in load(role)]
        if given - IDENTIFIERS not in taken:
            wrong.append(f"{where}: {name} is given {', '.join(sorted(given))}")
    assert wrong == []
    assert checked > 80


def test_every_statement_is_called() -> None:
    texts = [path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py")]
    unused = sorted(name for name in KNOWN if not any(f'"{name}"' in text for text in texts))
    assert unused == ["index_means"]  # which is run by the prefix that it has in common with index_centers
