"""The statements of sql/queries.sql, by name."""

import re
from importlib import resources

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


def parse(text: str) -> dict[str, str]:
    """Split a file at its `-- name:` lines; comment lines are left out of what is sent."""
    parts = _NAME.split(text)[1:]
    names, bodies = parts[::2], parts[1::2]
    if len(set(names)) != len(names):
        raise ValueError("two statements have one name")
    return {name: _statement(body) for name, body in zip(names, bodies, strict=True)}


def _statement(body: str) -> str:
    lines = [line for line in body.splitlines() if not line.startswith("--")]
    return "\n".join(lines).strip().removesuffix(";")


def load() -> dict[str, str]:
    """Every statement the serving role runs."""
    return parse((resources.files("matcher_service") / "sql" / "queries.sql").read_text(encoding="utf-8"))
