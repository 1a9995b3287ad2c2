"""How often an index proposes the right person, and the least effort that is enough."""

import dataclasses

import asyncpg

from matcher_service.queries import of_collection

SAMPLE_PROBES = 1000
LEAST_PROBES = 100  # fewer say nothing about a share close to 1
BLIND_SHARE = 0.1  # of the lists, where nothing can be measured
_SHARES = (0.005, 0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07, 0.08, 0.1, 0.13, 0.17, 0.25, 0.4, 0.7, 1.0)


@dataclasses.dataclass(frozen=True)
class Effort:
    """Lists to search, of all that an index has, and the share found by them; None where unmeasured."""

    probes: int
    recall: float | None


async def choose_effort(
    connection: asyncpg.Connection, collection_id: str, *, lists: int, target_recall: float
) -> Effort:
    """Measure on the collection's own people, and return the least effort that reaches the target."""
    sample = await _sample(connection, collection_id)
    if len(sample[0]) < LEAST_PROBES:
        return Effort(max(1, round(BLIND_SHARE * lists)), None)
    efforts = sorted({max(1, round(share * lists)) for share in _SHARES})
    measured: dict[int, float] = {}
    low, high = 0, len(efforts) - 1
    while low < high:  # recall grows with effort
        middle = (low + high) // 2
        measured[middle] = await _measure(connection, collection_id, sample, efforts[middle])
        low, high = (low, middle) if measured[middle] >= target_recall else (middle + 1, high)
    if low not in measured:
        measured[low] = await _measure(connection, collection_id, sample, efforts[low])
    return Effort(efforts[low], measured[low])


async def check_effort(
    connection: asyncpg.Connection, collection_id: str, *, lists: int, effort: int, target_recall: float
) -> Effort:
    """Measure an effort, and choose another one only where it falls short of the target."""
    sample = await _sample(connection, collection_id)
    if len(sample[0]) < LEAST_PROBES:
        return Effort(effort, None)
    recall = await _measure(connection, collection_id, sample, effort)
    if recall >= target_recall or effort >= lists:
        return Effort(effort, recall)
    better = await choose_effort(connection, collection_id, lists=lists, target_recall=target_recall)
    return better if better.probes > effort else Effort(effort, recall)


async def _sample(connection: asyncpg.Connection, collection_id: str) -> tuple[list[int], list[bytes]]:
    text = of_collection(collection_id)["draw_probes"]
    rows = await connection.fetch(text, collection_id, SAMPLE_PROBES)
    return [row["person_key"] for row in rows], [row["probe"] for row in rows]


async def _measure(
    connection: asyncpg.Connection, collection_id: str, sample: tuple[list[int], list[bytes]], probes: int
) -> float:
    async with connection.transaction():
        await connection.execute("SET LOCAL enable_seqscan = off")
        await connection.execute("SELECT set_config('ivfflat.probes', $1, true)", str(probes))
        text = of_collection(collection_id, "maintenance")["count_proposed"]
        found = await connection.fetchval(text, *sample)
    return float(found / len(sample[0]))
