"""Plans of every statement at size: they go by the indexes without statistics of persons' columns."""

import re
import uuid
from typing import Any

import asyncpg
import pytest

from matcher_service.postgres.session import Session
from matcher_service.postgres.statements import PARENTS, load, of_collection, partition_name
from tests.benchmarks.vectors import Dataset
from tests.fixtures.dataset import load as load_dataset

FACES = 40_000
SCANS = {
    # All faces, on purpose.
    "identify": {"face"},
    "review_exactly": {"face"},
    "check_exactly": {"face"},
    # All sketches, or the 80 rows of their rotation; of some tables the first row.
    "scan_sketches": {"sketch"},
    "begin_scan": {"rotation", "sketch"},
    "get_sketch_policy": {"rotation", "sketch"},
    "read_axes": {"rotation"},
    "fill_sketches": {"rotation"},
    "delete_rotation": {"rotation"},
    "delete_sketches": {"sketch"},
    "count_wrong_sketches": {"face", "sketch", "rotation"},
    "lock_persons_past_retention": {"face"},
    "count_centers": {"face"},
    "list_persons_to_mark": {"face", "person"},
    # So many faces at most.
    "count_some_faces": {"face"},
    "count_some_persons": {"person"},
    # The first row.
    "has_persons": {"person"},
    # All people: a sample is drawn, or those are looked for who are no more.
    "measure_genuine": {"person"},
    "draw_impostors": {"person"},
    "count_groups": {"person"},
    "draw_faces": {"person"},
    "draw_claimants": {"person"},
    "draw_recall_samples": {"person"},
    # All requests.
    "delete_old_requests": {"enroll_request"},
    "blank_requests": {"enroll_request"},
}


LIST_ELEMENTS = 200
"""Of a list parameter. Without statistics Postgres takes each to select one of 200 rows: together all."""
LISTS = {
    "text": [f"p{number}" for number in range(LIST_ELEMENTS)],
    "uuid": [str(uuid.UUID(int=number)) for number in range(LIST_ELEMENTS)],
    "int8": [str(number) for number in range(LIST_ELEMENTS)],
}


def type_name(kind: Any) -> str:
    """The type as SQL names it, with its schema."""
    element = kind.name.removesuffix("[]")
    return f'{kind.schema}."{element}"' + ("[]" if kind.name.endswith("[]") else "")


def with_lists(text: str, types: list[Any]) -> str:
    """A statement with constants in place of its list parameters, so that it is planned for their length."""

    def constant(match: re.Match[str]) -> str:
        kind = types[int(match[1]) - 1]
        element = kind.name.removesuffix("[]")
        return f"'{{{','.join(LISTS[element])}}}'::{kind.name}" if element in LISTS else match[0]

    lists = [number for number, kind in enumerate(types, 1) if kind.name.endswith("[]")]
    return re.sub(r"\$(\d+)\b", lambda match: constant(match) if int(match[1]) in lists else match[0], text)


@pytest.mark.parametrize("long_lists", [False, True], ids=["any parameters", "long lists"])
async def test_no_statement_reads_a_whole_table_unlisted(
    administrator: asyncpg.Connection, long_lists: bool
) -> None:
    """As planned for any parameters, which is how a statement is run that is run often, or for long lists."""
    people = Dataset(FACES // 2, photos=2, even=True, seed=3).all()
    await load_dataset(administrator, people)
    schema = await administrator.fetchval(
        "SELECT extnamespace::regnamespace::text FROM pg_extension WHERE extname = 'vector'"
    )
    await administrator.execute(
        f"SET search_path = {schema}; SET plan_cache_mode = force_generic_plan; SET jit = off"
    )
    for name, lists in (("index_means", "100"), ("index_centers", "1")):
        session = Session(administrator, "default", role="maintenance")
        await session.execute_named(name, index=name, lists=lists)
    partitions = {partition_name(parent, "default"): parent for parent in PARENTS}
    read: dict[str, set[str]] = {}
    for role in ("serving", "maintenance"):
        for name in load(role):
            text = of_collection("default", name, role).text
            if not text.upper().startswith(("SELECT", "WITH", "INSERT", "UPDATE", "DELETE")):
                continue
            text = text.replace("FOR UPDATE SKIP LOCKED", "")
            types = (await administrator.prepare(text)).get_parameters()
            declared = f"({', '.join(map(type_name, types))})" if types else ""
            if long_lists:
                text = with_lists(text, list(types))
            await administrator.execute(f"PREPARE planned{declared} AS {text}")
            nulls = f"({', '.join(['NULL'] * len(types))})" if types else ""
            rows = await administrator.fetch(f"EXPLAIN EXECUTE planned{nulls}")
            await administrator.execute("DEALLOCATE planned")
            lines = "\n".join(row[0] for row in rows)
            read[name] = {parent for table, parent in partitions.items() if f"Seq Scan on {table}" in lines}
    assert {name: tables for name, tables in read.items() if tables - SCANS.get(name, set())} == {}
