"""The statements of sql/queries.sql, by name and for one collection."""

import contextvars
import functools
import hashlib
import re
from collections.abc import Mapping
from importlib import resources

PARENTS = ("person", "face", "enroll_request")
_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)
_asked_for: contextvars.ContextVar[str] = contextvars.ContextVar("collection_id", default="")
_NAMED = re.compile(r':"(\w+)"')


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
def load(file: str = "queries") -> Mapping[str, str]:
    """Every statement of a file, its partitions still to be named; `queries` is what the service runs."""
    return parse((resources.files("matcher_service") / "sql" / f"{file}.sql").read_text(encoding="utf-8"))


def partition_name(parent: str, collection_id: str) -> str:
    """The table that holds a collection's part of `parent`, as the schema's function names it."""
    return f"{parent}_{hashlib.sha256(collection_id.encode()).hexdigest()[:32]}"


def of_collection(collection_id: str, file: str = "queries") -> Mapping[str, str]:
    """Every statement over one collection's partitions; names of other things are still to be put in."""
    _asked_for.set(collection_id)
    return _of_collection(collection_id, file)


def asked_for(partition: str) -> str | None:
    """The collection of a partition, where it is the one whose statements this task asked for last."""
    collection_id = _asked_for.get()
    suffix = partition_name("", collection_id)
    return collection_id if collection_id and partition.endswith(suffix) else None


@functools.lru_cache(maxsize=4096)
def _of_collection(collection_id: str, file: str) -> Mapping[str, str]:
    names = {parent: partition_name(parent, collection_id) for parent in PARENTS}
    return {name: put(text, names) for name, text in load(file).items()}


def put(text: str, names: Mapping[str, str]) -> str:
    """A statement with names put in where it has `:"name"`, quoted."""
    return _NAMED.sub(lambda match: f'"{names[match[1]]}"' if match[1] in names else match[0], text)
