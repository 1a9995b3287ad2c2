"""Fixtures that make the alerts fire: Prometheus, Postgres and a matcher."""

import asyncio
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from facerec.local.postgres import EmbeddedPostgres
from matcher_service.postgres import migrations
from tests.alerts.administrator import Administrator
from tests.alerts.prometheus import Prometheus
from tests.alerts.servers import Server

ENCODER = ("encoder_service", "serving", "--threads", "1")


@pytest.fixture(scope="session")
def prometheus() -> Iterator[Prometheus]:
    """A Prometheus that scrapes nobody yet."""
    if "CHECK_ALERTS" not in os.environ:
        pytest.skip("takes minutes: make check-alerts")
    if shutil.which("prometheus") is None:
        pytest.skip("prometheus is not on this machine")
    with tempfile.TemporaryDirectory(prefix="facerec-test-") as folder:
        server = Prometheus(Path(folder))
        try:
            yield server
        finally:
            server.stop()


@pytest.fixture
def postgres(prometheus: Prometheus) -> Iterator[EmbeddedPostgres]:
    """A migrated Postgres of the test's own."""
    with tempfile.TemporaryDirectory(prefix="facerec-test-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        with EmbeddedPostgres.open(Path(folder) / "data") as server:
            asyncio.run(migrations.migrate(server.url()))
            yield server


@pytest.fixture
def matcher(postgres: EmbeddedPostgres, prometheus: Prometheus) -> Iterator[Server]:
    """A matcher over it, its encoder down, which alone is scraped."""
    flags = ("--database-url", postgres.url(), "--encoder-address", "127.0.0.1:1", "--pool-max-size", "1")
    quick = ("--pool-min-size", "1", "--pool-wait-seconds", "0.2", "--statement-timeout-seconds", "3")
    server = Server("matcher_service", "database_ready", *flags, *quick)
    prometheus.scrape({"facerec-matcher": [server.admin]})
    yield server
    prometheus.scrape({})
    server.stop()


@pytest.fixture
def administrator(postgres: EmbeddedPostgres) -> Iterator[Administrator]:
    made = Administrator(postgres.url())
    yield made
    made.close()
