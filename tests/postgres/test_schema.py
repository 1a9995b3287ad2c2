"""schema.sql is what the migrations make."""

import os

import pytest

from scripts.schema_sql import SCHEMA, dumped


@pytest.mark.skipif(
    "TEST_DATABASE_URL" in os.environ, reason="pg_dump of another release writes it otherwise"
)
def test_all_migrations_on_an_empty_database_give_schema_sql(database_url: str) -> None:
    assert dumped(database_url) == SCHEMA.read_text(encoding="utf-8"), "run `make schema`"
