"""A login for a pooler, and PgBouncers before the test's database."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.fixtures.postgres import PostgresServer
from tests.pooling.pgbouncer import LOGIN, SETTINGS, PgBouncer, program

StartPooler = Callable[..., PgBouncer]


@pytest.fixture
def login(postgres_server: PostgresServer, template_database: str) -> Iterator[str]:
    """A login that may serve, whose role has what a pooler ignores."""
    given = [f"ALTER ROLE {LOGIN} SET {name} = {value}" for name, value in SETTINGS.items()]
    postgres_server.execute(f"CREATE ROLE {LOGIN} LOGIN IN ROLE facerec_serve", *given)
    yield LOGIN
    postgres_server.execute(f"DROP ROLE {LOGIN}")


@pytest.fixture
def start_pooler(login: str, database_url: str) -> Iterator[StartPooler]:
    """Starts a PgBouncer before the test's database, with these settings."""
    if program() is None:
        pytest.skip("pgbouncer is not on this machine")
    with ExitStack() as stack:

        def start(**settings: object) -> PgBouncer:
            return stack.enter_context(PgBouncer(database_url, login, "postgres", **settings))

        yield start
