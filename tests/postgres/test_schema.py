"""schema.sql is what the migrations make."""

import os

import pytest

from scripts.schema_sql import SCHEMA, dump


@pytest.mark.skipif(
    "TEST_DATABASE_URL" in os.environ, reason="pg_dump of another release writes it otherwise"
)
def test_all_migrations_on_an_empty_database_give_the_schema_that_is_written_down(database_url: str) -> None:
    assert dump(database_url) == SCHEMA.read_text(encoding="utf-8"), "run `make schema`"
