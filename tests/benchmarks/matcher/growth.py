"""How cost grows with a collection and with photos per person, for facerec and its alternatives."""

import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from facerec.matcher.v1 import matcher_pb2 as pb
from matcher_service.postgres.statements import partition_name
from tests.benchmarks.matcher import calls, changes, driving
from tests.benchmarks.matcher.peers import FaissFlat, KnnPickle, Numpy, Peer, PlainSql, took
from tests.benchmarks.matcher.stage import Stage, connected, put_dataset
from tests.benchmarks.matcher.tables import Seconds, Table, milliseconds
from tests.benchmarks.vectors import Dataset, Faces

SIZES = (10_000, 100_000)  # and the stage's own
PHOTOS = (1, 2, 10, 100)
PHOTOS_AT = 100_000
MOST_SQL_FACES = 100_000  # a scan of a million takes most of a minute
NEWCOMER = 1 << 40  # the peers call people by numbers
COLUMNS = ("faces x photos a person", "by", "Verify", "who, enrolled", "nobody", "add", "delete", "MB")


async def run(
    stage: Stage,
    *,
    sizes: Sequence[int] = SIZES,
    photos: Sequence[int] = PHOTOS,
    photos_at: int = PHOTOS_AT,
    probes: int = 100,
    non_mated: int = 7,
) -> Table:
    """Measure datasets of each size with two photos per person, then one size with more and more photos."""
    rows = []
    wanted = [(size, 2) for size in sizes] + [(photos_at, each) for each in photos if each != 2]
    for size, each in wanted:
        dataset = Dataset(size // each, photos=each, even=True, seed=2)
        collection = f"bench-{size}-{each}"
        await put_dataset(stage.url, dataset, collection)
        apart = Stage(stage.url, stage.calls, dataset, dataset.all(), stage.cores, stage.server)
        rows += await _rows(apart, collection, probes, non_mated)
        await stage.calls.collections.DeleteCollection(
            pb.DeleteCollectionRequest(collection_id=collection, force=True)
        )
    rows += await _rows(stage, "default", probes, non_mated)
    return Table(
        "How cost grows: p50 in ms",
        COLUMNS,
        rows,
        [
            "MB: ours with all indexes, on disk, once; the others' what each server holds in memory.",
            f"SQL over float8[] is measured up to {MOST_SQL_FACES:,} faces; the two halves as `cube` are not"
            " measured, as the embedded Postgres comes without that extension.",
        ],
    )


async def _rows(stage: Stage, collection: str, probes: int, non_mated: int) -> list[tuple[str, ...]]:
    dataset = stage.dataset
    name = f"{len(stage.faces.people):,} x {dataset.photos:g}"
    rows = [(name, "facerec", *await _ours(stage, collection, probes, non_mated))]
    makers: tuple[Callable[[], Peer], ...] = (lambda: Numpy(stage.faces), lambda: FaissFlat(stage.faces))
    for make in makers:
        rows.append((name, *_peer(make(), dataset)))
    with tempfile.TemporaryDirectory() as folder:
        rows.append((name, *_peer(KnnPickle(stage.faces, Path(folder)), dataset, changes=1)))
    if len(stage.faces.people) <= MOST_SQL_FACES:
        rows.append((name, PlainSql.name, *await _plain_sql(stage.url, stage.faces, dataset)))
    return rows


async def _ours(stage: Stage, collection: str, probes: int, non_mated: int) -> tuple[str, ...]:
    genuine = stage.dataset.genuine(probes, draw=6)
    nobody = stage.dataset.non_mated(non_mated, draw=6)

    async def verify(number: int) -> None:
        request = calls.verify(int(genuine.people[number]), genuine.encodings[number], collection)
        await stage.calls.stub.Verify(request, timeout=30)

    async def enrolled(number: int) -> None:
        await stage.calls.identify(calls.identify(genuine.encodings[number], collection))

    async def search_nobody(number: int) -> None:
        await stage.calls.identify(calls.identify(nobody[number], collection, exact_only=True))

    await changes.put_policy(stage, changes.ALLOW, collection)
    newcomers = changes.Newcomers(stage, 64)
    added, deleted = await newcomers.one_by_one(min(50, probes), collection)
    await changes.put_policy(stage, changes.FLAG, collection)
    return (
        _ms(await driving.one_by_one(verify, probes)),
        _ms(await driving.one_by_one(enrolled, probes)),
        _ms(await driving.one_by_one(search_nobody, non_mated)),
        _ms(added),
        _ms(deleted),
        f"{await _bytes(stage.url, collection) / 1e6:.0f}",
    )


async def _bytes(url: str, collection: str) -> int:
    async with connected(url) as connection:
        tables = [f"facerec.{partition_name(parent, collection)}" for parent in ("person", "face")]
        query = "SELECT sum(pg_total_relation_size(name::regclass))::bigint FROM unnest($1::text[]) AS name"
        return int(await connection.fetchval(query, tables))


def _peer(peer: Peer, dataset: Dataset, *, searches: int = 7, changes: int = 3) -> tuple[str, ...]:
    faces = dataset.genuine(searches, draw=6).encodings
    non_mated = dataset.non_mated(searches, draw=6)
    enrolled = np.array([took(partial(peer.who, face)) for face in faces])
    nobody = np.array([took(partial(peer.who, face)) for face in non_mated])
    kept = peer.bytes_kept()
    added = np.array([took(partial(peer.add, NEWCOMER + n, non_mated[n])) for n in range(changes)])
    deleted = np.array([took(partial(peer.delete, NEWCOMER + n)) for n in range(changes)])
    return peer.name, "", _ms(enrolled), _ms(nobody), _ms(added), _ms(deleted), f"{kept / 1e6:.0f}"


async def _plain_sql(url: str, faces: Faces, dataset: Dataset, searches: int = 3) -> tuple[str, ...]:
    probes, non_mated = dataset.genuine(searches, draw=6).encodings, dataset.non_mated(searches, draw=6)
    async with connected(url) as connection:
        peer = await PlainSql.filled(connection, faces)
        times: dict[str, list[float]] = {"enrolled": [], "nobody": [], "add": [], "delete": []}
        for number in range(searches):
            for name, work in (
                ("enrolled", peer.who(probes[number])),
                ("nobody", peer.who(non_mated[number])),
                ("add", peer.add(NEWCOMER, non_mated[number])),
                ("delete", peer.delete(NEWCOMER)),
            ):
                start = time.perf_counter()
                await work
                times[name].append(time.perf_counter() - start)
        kept = await peer.bytes_kept()
    return "", *(_ms(np.array(values)) for values in times.values()), f"{kept / 1e6:.0f}"


def _ms(times: Seconds) -> str:
    return f"{milliseconds(times):.3g}"
