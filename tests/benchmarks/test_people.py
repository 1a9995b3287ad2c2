"""The benchmark of searches of people, in a short form that asserts answers and no times."""

import asyncpg

from tests.benchmarks import people
from tests.fixtures.matcher import StartMatcher


async def test_every_search_finds_whom_it_should(start_matcher: StartMatcher, database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        await people.load(connection, 2000)
        names = await connection.fetch("SELECT lower(display_name) AS name FROM facerec.person")
    finally:
        await connection.close()
    asked = await people.ask(await start_matcher(database_url), 2)
    found = {name: persons for name, (persons, _) in asked.items()}
    starting = {
        query: sum(any(word.startswith(query) for word in row["name"].split()) for row in names)
        for query in ("kaba", "k", "teramidoka")
    }
    assert found["nobody"] == 0
    assert found["one person's id"] == 1
    assert found["a rare name"] == starting["teramidoka"]
    assert (found["a common name"], found["one letter"]) == tuple(
        min(100, starting[query]) for query in ("kaba", "k")
    )
    assert found["the beginning of all ids, of the inactive"] == 2
