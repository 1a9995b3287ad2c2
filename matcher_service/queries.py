"""The statements of sql/queries.sql, by name and for one collection."""

import functools
import hashlib
import re
from collections.abc import Mapping
from importlib import resources

PARENTS = ("person", "face", "enroll_request")
_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)
_PARTITION = re.compile(r':"(\w+)"')


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


@functools.cache
def load() -> Mapping[str, str]:
    """Every statement the serving role runs, its partitions still to be named."""
    return parse((resources.files("matcher_service") / "sql" / "queries.sql").read_text(encoding="utf-8"))


def partition_name(parent: str, collection_id: str) -> str:
    """The table that holds a collection's part of `parent`, as the schema's function names it."""
    return f"{parent}_{hashlib.sha256(collection_id.encode()).hexdigest()[:32]}"


@functools.lru_cache(maxsize=4096)
def of_collection(collection_id: str) -> Mapping[str, str]:
    """Every statement over one collection's partitions."""
    names = {parent: partition_name(parent, collection_id) for parent in PARENTS}
    return {name: _PARTITION.sub(lambda match: f'"{names[match[1]]}"', text) for name, text in load().items()}
