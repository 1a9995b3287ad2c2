"""`make bench-people`: searches of people by `query`, through a matcher, and what each takes of Postgres.

People have generated names of two words, of which some are common and most are rare, an id of a system of
accounts, which all begin alike, and one face.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from pathlib import Path
from typing import Final

import asyncpg

from facerec.matcher.v1 import matcher_pb2 as pb
from matcher_service.postgres.statements import partition_name
from tests.fixtures.dataset import SPACE
from tests.fixtures.matcher import RunningMatcher
from tests.soak import stage

QUERIES: Final = {
    "none: the first page of all": "",
    "nobody": "zzz",
    "one person's id": "user-0000123",
    "two names": "kaba mira",
    "a rare name": "teramidoka",
    "a common name": "kaba",
    "two letters": "ka",
    "one letter": "k",
    "the last fifth of all ids": "user-04",
    "the beginning of all ids": "user",
    "the beginning of all ids, of the inactive": "user",
}
"""What is asked, by what it is; the last with a label that one of 1,000 people has."""
INACTIVE: Final = pb.PersonFilter(labels={"state": pb.LabelValues(values=["inactive"])})

_SYLLABLES: Final = "ba,ka,do,mi,ra,te,lo,su,ne,vi"
# A word of one to five syllables; word 0 is the most common: `random() ^ 3`.
_NAMES: Final = """
CREATE FUNCTION pg_temp.word(number bigint) RETURNS text LANGUAGE sql IMMUTABLE
RETURN (SELECT string_agg((string_to_array($1, ','))[1 + digit::int], '')
        FROM unnest(string_to_array((10 + word.number)::text, NULL)) digit);
"""


async def load(connection: asyncpg.Connection, persons: int) -> None:
    """Insert so many people with a face each. The connection is a superuser's."""
    face, person = partition_name("face", "default"), partition_name("person", "default")
    schema = await connection.fetchval(
        "SELECT extnamespace::regnamespace::text FROM pg_extension WHERE extname = 'vector'"
    )
    await connection.execute(_NAMES.replace("$1", f"'{_SYLLABLES}'"))
    await connection.execute("SELECT setseed(0.5)")
    vector = f"array_fill(0.05::real, ARRAY[128])::{schema}.vector"
    await connection.execute(
        f"INSERT INTO facerec.{person} (collection_id, person_id, display_name, centroid, labels)"
        " SELECT 'default', 'user-' || lpad(n::text, 7, '0'),"
        " initcap(pg_temp.word((900 * random() ^ 3)::bigint)) || ' '"
        " || initcap(pg_temp.word((90000 * random() ^ 3)::bigint)),"
        f" {vector}, CASE WHEN n % 1000 = 0 THEN '{{\"state\": \"inactive\"}}' ELSE '{{}}' END::jsonb"
        " FROM generate_series(1, $1::bigint) n",
        persons,
    )
    await connection.execute(
        "INSERT INTO facerec.model (space, fingerprint) VALUES ($1, 'generated') ON CONFLICT DO NOTHING",
        SPACE,
    )
    await connection.execute(
        f"INSERT INTO facerec.{face} (collection_id, person_key, model_key, encoding, content_id)"
        f" SELECT 'default', p.person_key, m.model_key, {vector}, gen_random_uuid()"
        f" FROM facerec.{person} p, facerec.model m"
    )
    await connection.execute(f"VACUUM ANALYZE facerec.{face}, facerec.{person}")


async def ask(matcher: RunningMatcher, times: int) -> dict[str, tuple[int, list[float]]]:
    """Ask each query so often, in turn; returns how many people are on the page, and the times in seconds."""
    found: dict[str, tuple[int, list[float]]] = {}
    for _ in range(times):
        for name, query in QUERIES.items():
            chosen = INACTIVE if name.endswith("inactive") else None
            began = time.perf_counter()
            page = await matcher.stub.ListPersons(pb.ListPersonsRequest(query=query, filter=chosen))
            seconds = time.perf_counter() - began
            found.setdefault(name, (len(page.persons), []))[1].append(seconds)
    return found


async def measure(folder: Path, persons: int, times: int) -> None:
    """Print a row of each query."""
    opened, matcher, channel = await stage.start(folder)
    try:
        connection = await asyncpg.connect(opened.url())
        began = time.perf_counter()
        await load(connection, persons)
        size = await connection.fetchval(
            "SELECT sum(pg_relation_size(indexrelid)) FROM pg_index WHERE indexprs IS NOT NULL"
            f" AND indrelid = 'facerec.{partition_name('person', 'default')}'::regclass"
        )
        await connection.close()
        taken = time.perf_counter() - began
        print(f"{persons} people in {taken:.0f} s; the index has {float(size) / 1e6:.1f} MB")
        for name, (people, seconds) in (await ask(matcher, times)).items():
            p5, p50 = statistics.quantiles(seconds, n=20)[0] * 1e3, statistics.median(seconds) * 1e3
            print(f"{name}: {people} people, p5 {p5:.1f} ms, p50 {p50:.1f} ms")
    finally:
        await stage.stop(opened, matcher, channel)


def main() -> None:
    """Read the arguments, and measure over a Postgres of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--persons", type=int, default=500_000)
    parser.add_argument("--times", type=int, default=40)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="facerec-people-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # for root, Postgres runs as another user
        asyncio.run(measure(folder, chosen.persons, chosen.times))


if __name__ == "__main__":
    main()
