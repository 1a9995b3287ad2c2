"""Decisions wait separately for each collection: one that cannot be written does not delay the others."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from matcher_service.audit import decisions
from matcher_service.audit.changes import Action
from matcher_service.audit.decisions import DecisionLog
from matcher_service.domain.errors import CollectionNotFound, Overloaded, StoreUnavailable
from matcher_service.postgres.database import Database


class Written:
    """A database that accepts decisions, except those of some collections."""

    def __init__(self) -> None:
        self.refused: dict[str, Exception] = {}
        self.persons: dict[str, list[str]] = {}

    @contextlib.asynccontextmanager
    async def search_session(self, collection_id: str) -> AsyncIterator["WrittenOf"]:
        yield WrittenOf(self, collection_id)


class WrittenOf:
    """The session of such a database for one collection."""

    def __init__(self, database: Written, collection_id: str) -> None:
        self._database = database
        self._collection_id = collection_id

    async def execute(self, _: str, **columns: Any) -> None:
        if self._collection_id in self._database.refused:
            raise self._database.refused[self._collection_id]
        self._database.persons.setdefault(self._collection_id, []).extend(columns["person_ids"])


@pytest.fixture
def database() -> Written:
    return Written()


@pytest.fixture
def log(database: Written) -> DecisionLog:
    return DecisionLog(cast(Database, database), enabled=True)


def decide(log: DecisionLog, collection_id: str, *numbers: int) -> None:
    for number in numbers:
        log.add(collection_id, Action.VERIFY, f"p{number}", match=True)


def people(*numbers: int) -> list[str]:
    return [f"p{number}" for number in numbers]


BUSY = Overloaded("the database is overloaded; retry later")
AWAY = StoreUnavailable("the database cannot be used now; retry later")


@pytest.mark.parametrize("error", [BUSY, AWAY, RuntimeError("a fault of ours")])
async def test_decisions_of_a_locked_collection_wait_in_order_and_others_are_written(
    log: DecisionLog, database: Written, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decisions, "BATCH", 2)
    database.refused["locked"] = error
    decide(log, "locked", 1, 2, 3)
    decide(log, "free", 1, 2, 3)
    for _ in range(2):
        await log._write_all()
    decide(log, "locked", 4)
    decide(log, "free", 4)
    await log._write_all()
    await log._write_all(stuck=True)
    assert database.persons == {"free": people(1, 2, 3, 4)}
    del database.refused["locked"]
    await log._write_all(stuck=True)
    assert database.persons["locked"] == people(1, 2, 3, 4)
    decide(log, "locked", 5)
    await log._write_all()
    assert database.persons["locked"] == people(1, 2, 3, 4, 5)


async def test_a_failed_collection_is_retried_after_the_other_failed_ones(
    log: DecisionLog, database: Written
) -> None:
    for name in ("first", "second"):
        database.refused[name] = AWAY
        decide(log, name, 1)
        await log._write_all()
    del database.refused["second"]
    for _ in range(2):
        await log._write_all(stuck=True)
    assert database.persons == {"second": people(1)}


async def test_decisions_of_an_erased_collection_are_dropped(log: DecisionLog, database: Written) -> None:
    database.refused["erased"] = CollectionNotFound()
    decide(log, "erased", 1)
    decide(log, "free", 1)
    await log.stop()
    assert database.persons == {"free": people(1)}
    assert log._waiting == 0


async def test_the_oldest_decisions_of_the_largest_collection_are_dropped(
    log: DecisionLog, database: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decisions, "MAX_WAITING", 100)
    monkeypatch.setattr(decisions, "DROPPED_AT_ONCE", 10)
    decide(log, "few", *range(20))
    decide(log, "many", *range(81))
    decide(log, "few", *range(20, 25))
    await log.stop()
    assert database.persons == {"few": people(*range(25)), "many": people(*range(10, 81))}
