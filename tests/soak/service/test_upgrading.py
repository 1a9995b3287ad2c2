"""A short form of the upgrade between two releases."""

import pytest

from matcher_service.postgres import migrations
from tests.fixtures.waiting import LIMIT_SECONDS
from tests.soak.service import load, upgrading


def test_no_call_fails_while_schema_and_matchers_are_upgraded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(load, "CALL_SECONDS", LIMIT_SECONDS)
    # How long a migration keeps its locks is a matter of the machine's load.
    found = upgrading.upgrade("--pool-wait-seconds", "60", calls=180, pause_seconds=0.05)
    assert found.versions == (migrations.head(), migrations.head() + 1)
    assert found.passed, found
    assert found.enrolled > 5
