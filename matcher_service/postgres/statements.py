"""Loads the statements of each subject's .sql file, by name and for one collection.

`-- name:` begins a statement. Values are passed by name: `:person_id` is a parameter, and `:collection_id`
the collection in all statements that have one. `:"person"`, `:"face"` and the other PARENTS are replaced by
the collection's own partitions, so no statement can see another tenant's rows, or take a lock that another
tenant's calls could wait for. psql accepts all of these placeholders too, after \\set. Statements that answer
callers start from facerec.collection: no row means that there is no such collection.

A line with `{n}` is repeated for each probe of a statement, with 1, 2, ... for `{n}`: that costs less at run
time than a loop over probes (psql does not accept these).

`<->` is pgvector's Euclidean distance, float8; a match is `distance <= threshold`, both float8. An expired
face (expire_time) is not found. A face older than the collection's retention is found until `maintain` or a
change of its person's faces erases it. Comments name the indexes that a statement uses by their columns:
faces have (face_id), the primary key, and (person_key, content_id); people have (person_id), the primary key,
and (person_key). The first column of each is collection_id.
"""

import contextlib
import dataclasses
import functools
import hashlib
import re
from collections.abc import Mapping
from importlib import resources
from typing import Any, Final, Self

FILES: Final = {
    "serving": (
        "postgres/postgres.sql",
        "identification/identification.sql",
        "identification/scans.sql",
        "identification/comparison.sql",
        "persons/persons.sql",
        "persons/enrollment.sql",
        "persons/moves.sql",
        "persons/consistency.sql",
        "collections/collections.sql",
        "operations/operations.sql",
        "transfer/transfer.sql",
        "calibration/calibration.sql",
        "duplicates/duplicates.sql",
        "duplicates/inconsistent.sql",
        "audit/audit.sql",
    ),
    "maintenance": ("maintenance/maintenance.sql",),
    "doctor": ("diagnostics/diagnostics.sql",),
}

PARENTS: Final = ("person", "face", "enroll_request", "rotation", "sketch")
CACHED = 16_384  # statements for a collection, of about a kilobyte each
_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)
_IDENTIFIER = re.compile(r""":(["'])(\w+)\1""")
_PARAMETER = re.compile(r"(?<![:\w']):([a-z]\w*)")


@dataclasses.dataclass(frozen=True, slots=True)
class Statement:
    """A statement: `source` has parameters by name; `text`, as sent to Postgres, has $1, $2, ... for
    `parameters` in their order.
    """

    name: str
    source: str
    text: str
    parameters: tuple[str, ...]

    @classmethod
    def of(cls, name: str, source: str) -> Self:
        """Number the parameters of a source."""
        parameters = tuple(dict.fromkeys(_PARAMETER.findall(source)))
        numbers = {parameter: number for number, parameter in enumerate(parameters, 1)}
        text = _PARAMETER.sub(lambda match: f"${numbers[match[1]]}", source)
        return cls(name, source, text, parameters)

    def arguments(self, values: Mapping[str, Any]) -> list[Any]:
        """Values by name, in the order of the parameters. Raises TypeError for a missing or unknown one."""
        if len(values) == len(self.parameters):
            with contextlib.suppress(KeyError):
                return [values[name] for name in self.parameters]
        raise TypeError(f"{self.name} takes {', '.join(self.parameters)}, and not {', '.join(values)}")

    def with_identifiers(self, names: Mapping[str, str]) -> "Statement":
        """The statement with `:"name"` or `:'name'` replaced by the given names, quoted alike."""

        def quoted(match: re.Match[str]) -> str:
            quote, name = match[1], match[2]
            return f"{quote}{names[name].replace(quote, 2 * quote)}{quote}" if name in names else match[0]

        return self.of(self.name, _IDENTIFIER.sub(quoted, self.source))

    def expanded(self, probes: int, without: frozenset[str]) -> "Statement":
        """Repeat the lines of `{n}` for each probe, and leave out those with a parameter in `without`."""
        lines = [
            line.replace("{n}", str(number))
            for line in self.source.splitlines()
            if not without.intersection(_PARAMETER.findall(line))
            for number in (range(1, probes + 1) if "{n}" in line else [0])
        ]
        return self.of(self.name, "\n".join(lines))


def parse(text: str) -> dict[str, Statement]:
    """Split a file at its `-- name:` lines; comment lines are removed.

    Raises ValueError if two statements have the same name.
    """
    parts = _NAME.split(text)[1:]
    names, bodies = parts[::2], parts[1::2]
    if len(set(names)) != len(names):
        raise ValueError("two statements have the same name")
    return {name: _statement(name, body) for name, body in zip(names, bodies, strict=True)}


def _statement(name: str, body: str) -> Statement:
    lines = [line for line in body.splitlines() if not line.lstrip().startswith("--")]
    return Statement.of(name, "\n".join(lines).strip().removesuffix(";"))


@functools.cache
def load(role: str = "serving") -> Mapping[str, Statement]:
    """Every statement that a role runs, by name, with placeholders for the partitions.

    The roles are those of FILES: `serving`, `maintenance` and `doctor`.
    """
    package = resources.files("matcher_service")
    return parse("\n".join((package / file).read_text(encoding="utf-8") for file in FILES[role]))


def partition_name(parent: str, collection_id: str) -> str:
    """The table that holds a collection's part of `parent`, as the schema's function names it."""
    return f"{parent}_{hashlib.sha256(collection_id.encode()).hexdigest()[:32]}"


@functools.lru_cache(maxsize=CACHED)
def of_collection(
    collection_id: str,
    name: str,
    role: str = "serving",
    *,
    probes: int = 1,
    without: frozenset[str] = frozenset(),
) -> Statement:
    """A statement for one collection's partitions and a number of probes; placeholders of other names remain.

    Lines with a parameter in `without` are left out.
    """
    statement = load(role)[name].expanded(probes, without)
    return statement.with_identifiers({parent: partition_name(parent, collection_id) for parent in PARENTS})
