"""The statements of each subject's .sql file, by name and for one collection.

`-- name:` begins a statement. $1 is the collection in all that take one, and :"person", :"face" and
:"enroll_request" stand for its own partitions (psql reads them so too, after \\set). So no statement can see
another tenant's rows, and none takes a lock that another tenant's calls could wait for. All but the writers
begin at facerec.collection: no row means that there is no such collection.

`<->` is pgvector's Euclidean distance, float8; a match is `distance <= threshold`, both float8. A face past
its expire_time is not there. One past the collection's retention is there until `maintain` erases it, or a
change of its person's faces does. Comments name the indexes by their columns: faces have (face_id), the
primary key, and (person_key, content_id); people have (person_id), the primary key, and (person_key). All are
led by collection_id.
"""

import contextvars
import functools
import hashlib
import re
from collections.abc import Mapping
from importlib import resources
from typing import Final

FILES: Final = {
    "serving": (
        "postgres/postgres.sql",
        "identification/identification.sql",
        "persons/persons.sql",
        "collections/collections.sql",
        "transfer/transfer.sql",
        "calibration/calibration.sql",
        "duplicates/duplicates.sql",
        "audit/audit.sql",
    ),
    "maintenance": ("maintenance/maintenance.sql",),
    "doctor": ("postgres/doctor.sql",),
}

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
def load(role: str = "serving") -> Mapping[str, str]:
    """Every statement that a role runs, by name, its partitions still to be named.

    The roles are those of FILES: `serving`, `maintenance` and `doctor`.
    """
    package = resources.files("matcher_service")
    return parse("\n".join((package / file).read_text(encoding="utf-8") for file in FILES[role]))


def partition_name(parent: str, collection_id: str) -> str:
    """The table that holds a collection's part of `parent`, as the schema's function names it."""
    return f"{parent}_{hashlib.sha256(collection_id.encode()).hexdigest()[:32]}"


def of_collection(collection_id: str, role: str = "serving") -> Mapping[str, str]:
    """Every statement over one collection's partitions; names of other things are still to be put in."""
    _asked_for.set(collection_id)
    return _of_collection(collection_id, role)


def asked_for(partition: str) -> str | None:
    """The collection of a partition, where it is the one whose statements this task asked for last."""
    collection_id = _asked_for.get()
    suffix = partition_name("", collection_id)
    return collection_id if collection_id and partition.endswith(suffix) else None


@functools.lru_cache(maxsize=4096)
def _of_collection(collection_id: str, role: str) -> Mapping[str, str]:
    names = {parent: partition_name(parent, collection_id) for parent in PARENTS}
    return {name: put(text, names) for name, text in load(role).items()}


def put(text: str, names: Mapping[str, str]) -> str:
    """A statement with names put in where it has `:"name"`, quoted."""
    return _NAMED.sub(lambda match: f'"{names[match[1]]}"' if match[1] in names else match[0], text)
