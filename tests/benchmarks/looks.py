"""People with photos of two looks, and someone who resembles the rarer one: `make bench-looks`.

Each of these people has one photo of a look that is 0.5 to 0.9 from the others', and each has a look-alike
0.42 from that photo. A probe of that photo, or of a new one of the same look, must find the person.
What an index answers alone is compared with numpy, and what `maintain` measured of the index with probes that
numpy made.
"""

import argparse
import asyncio
import tempfile
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import numpy as np
import numpy.typing as npt

from facerec.matcher.v1 import matcher_pb2 as pb
from matcher_service.domain.proportion import Proportion
from matcher_service.identification.recall_sampling import FAR_STEP, move, step
from matcher_service.maintenance import runner
from matcher_service.postgres.connections import owner as session
from matcher_service.postgres.session import Session
from matcher_service.postgres.statements import partition_name
from matcher_service.postgres.vectors import vector_wire
from tests.benchmarks.matcher import calls
from tests.benchmarks.matcher.exact import nearest
from tests.benchmarks.matcher.stage import connected
from tests.benchmarks.matcher.tables import Table
from tests.benchmarks.vectors import Dataset, Faces, Keys, Vectors
from tests.fixtures.dataset import load_blocks
from tests.fixtures.matcher import RunningMatcher
from tests.soak import stage

PHOTOS = (2, 3, 5, 10)
LOOKS_APART = (0.5, 0.9)
LOOKALIKE = 0.42
SAME_LOOK = 0.2
NEW_PHOTOS = (0.1, 0.2, 0.3, 0.35)  # how far from the stored one
IN_FLIGHT = 4
RADIUS = 0.35
SLACK = 1e-6
MEASURED = {False: ("index_recall", "recall_samples"), True: ("index_far_recall", "far_samples")}


@dataclass(frozen=True)
class Population:
    """A dataset with such people, and by their number of photos the rarer look of each: (persons, 128)."""

    faces: Faces
    odd: dict[int, Vectors]


@dataclass(frozen=True)
class Outcome:
    """Of probes for people with so many photos: those that the index answered alone, and those of them for
    which it hid a nearer face.
    """

    photos: int
    probes: int
    accepted: int
    hidden: int


@dataclass(frozen=True)
class Measurement:
    """A recall as `maintain` measured it, and on probes made by numpy."""

    far: bool
    measured: Proportion
    true: Proportion


def populate(people: int, persons: int, *, lookalike: float = LOOKALIKE, seed: int = 5) -> Population:
    """A crowd of so many with a photo each, and so many persons with two looks for each number of photos."""
    random = np.random.default_rng(seed)
    crowd = Dataset(people, photos=1, even=True)
    drawn = crowd.non_mated(2 * persons * len(PHOTOS)).reshape(len(PHOTOS), 2, persons, -1)
    numbers: list[Keys] = [crowd.all().people]
    encodings: list[Vectors] = [crowd.all().encodings]
    first = people
    odd = {}
    for photos, (rare, other) in zip(PHOTOS, drawn, strict=True):
        apart = random.uniform(*LOOKS_APART, (persons, 1))
        usual = rare + (other - rare) * apart / np.linalg.norm(other - rare, axis=1, keepdims=True)
        own = [rare, *(step(usual, SAME_LOOK) for _ in range(photos - 1))]
        numbers += [np.arange(first, first + persons)] * photos + [
            np.arange(first, first + persons) + persons
        ]
        encodings += [*own, step(rare, lookalike)]
        odd[photos] = rare
        first += 2 * persons
    order = np.argsort(np.concatenate(numbers), kind="stable")
    return Population(
        Faces(np.concatenate(numbers)[order], np.concatenate(encodings).astype(np.float32)[order]), odd
    )


async def load(url: str, population: Population) -> None:
    """Load a population into the collection `default`, and have `maintain` index it."""
    async with connected(url) as connection:
        await connection.execute("UPDATE facerec.collection SET index_above_faces = 1000")
        await load_blocks(connection, [population.faces])
    assert await runner.run_once(runner.MaintenanceOptions(url))


async def ask(matcher: RunningMatcher, population: Population) -> list[Outcome]:
    """Probe with each person's rarer photo and new ones like it, and count what the index misses."""
    outcomes = []
    for photos, stored in population.odd.items():
        probes = np.concatenate([stored, *(step(stored, distance) for distance in NEW_PHOTOS)])
        truth = nearest(population.faces, probes)
        answers = await _identify(matcher, probes)
        accepted = [
            (answer.candidates[0].distance, least)
            for answer, least in zip(answers, truth.distances, strict=True)
            if answer.mode == pb.SEARCH_MODE_INDEX
        ]
        hidden = sum(distance > least + SLACK for distance, least in accepted)
        outcomes.append(Outcome(photos, len(probes), len(accepted), hidden))
    return outcomes


async def _identify(matcher: RunningMatcher, probes: Vectors) -> list[pb.IdentifiedFace]:
    answers: list[pb.IdentifiedFace] = [pb.IdentifiedFace()] * len(probes)
    waiting = iter(range(len(probes)))

    async def caller() -> None:
        for number in waiting:
            request = calls.identify(probes[number], max_candidates=1)
            answers[number] = (await matcher.stub.Identify(request, timeout=60)).faces[0]

    await asyncio.gather(*(caller() for _ in range(IN_FLIGHT)))
    return answers


async def measure(url: str, population: Population, probes: int = 5000) -> list[Measurement]:
    """Compare what `maintain` measured of either kind of probe with probes that numpy made."""
    found = []
    async with session.connect(url) as connection:
        row = await connection.fetchrow("SELECT * FROM facerec.collection WHERE collection_id = 'default'")
        assert row is not None
        first = await connection.fetchval(
            f"SELECT min(person_key) FROM facerec.{partition_name('person', 'default')}"
        )
        for far, (share, samples) in MEASURED.items():
            persons, vectors = make_probes(population.faces, probes, far=far)
            count = await _count_proposed(connection, row["index_effort"], persons + first, vectors)
            measured = Proportion(round(row[share] * row[samples]), row[samples])
            found.append(Measurement(far, measured, Proportion(count, len(persons))))
    return found


async def _count_proposed(
    connection: asyncpg.Connection, lists_read: int, keys: Keys, vectors: Vectors
) -> int:
    async with connection.transaction():
        await connection.execute("SET LOCAL enable_seqscan = off")
        await connection.execute("SELECT set_config('ivfflat.probes', $1, true)", str(lists_read))
        counting = Session(connection, "default", role="maintenance")
        count: int = await counting.value(
            "count_proposed", person_keys=keys.tolist(), sample_encodings=[vector_wire(v) for v in vectors]
        )
    return count


def make_probes(faces: Faces, count: int, *, far: bool, seed: int = 7) -> tuple[Keys, Vectors]:
    """Probes as `maintain` makes them: of any face of people of chance, or of the farthest twentieth."""
    random = np.random.default_rng(seed)
    starts = np.flatnonzero(np.r_[True, np.diff(faces.people) > 0])
    counts = np.diff(np.r_[starts, len(faces.people)])
    means = np.add.reduceat(faces.encodings.astype(np.float64), starts) / counts[:, None]
    apart, lone = _place(faces.encodings, starts, counts, means)
    people = random.permutation(len(starts))[: 20 * count if far else count]
    if far:
        rows = np.array([starts[p] + np.argmax(apart[starts[p] : starts[p] + counts[p]]) for p in people])
        chosen = np.resize(np.argsort(-apart[rows], kind="stable")[: -(-len(people) // 20)], count)
    else:
        rows = starts[people] + random.integers(0, counts[people])
        chosen = np.arange(len(people))
    rows, people = rows[chosen], people[chosen]
    if far:
        return faces.people[rows], step(faces.encodings[rows], FAR_STEP)
    lone = lone[rows] | (counts[people] == 1)
    vectors = move(faces.encodings[rows], means[people].astype(np.float32), counts[people], lone)
    return faces.people[rows], vectors


def _place(
    encodings: Vectors, starts: Keys, counts: Keys, means: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """How far each face is from the nearest center of its person, and whether it is one itself."""
    apart = np.linalg.norm(encodings - np.repeat(means, counts, axis=0), axis=1)
    centers = np.zeros(len(encodings), bool)
    for person in np.flatnonzero(np.maximum.reduceat(apart, starts) > RADIUS):
        rows = np.arange(starts[person], starts[person] + counts[person])
        while apart[rows].max() > RADIUS:
            # The farthest of the mean's, not of the centers': as the database picks them.
            beyond = rows[apart[rows] > RADIUS]
            center = beyond[np.argmax(np.linalg.norm(encodings[beyond] - means[person], axis=1))]
            centers[center] = True
            apart[rows] = np.minimum(apart[rows], np.linalg.norm(encodings[rows] - encodings[center], axis=1))
    return apart, centers


def table(people: int, outcomes: list[Outcome], measurements: list[Measurement]) -> Table:
    """What is printed."""
    rows = []
    for each in outcomes:
        low, high = Proportion(each.hidden, each.accepted).interval
        rows.append(
            (
                f"1 of {each.photos} photos, {each.probes} probes",
                f"{each.accepted} answered by the index alone, {each.hidden} hid a nearer face",
                f"{low:.5f} to {high:.5f}",
            )
        )
    for far, measured, true in ((m.far, m.measured, m.true) for m in measurements):
        rows.append(
            (
                "recall of faces far from their centers" if far else "recall of any faces",
                f"{measured.value:.4f} by maintain, {true.value:.4f} by numpy",
                "{:.4f} to {:.4f} by maintain, {:.4f} to {:.4f}".format(*measured.interval, *true.interval),
            )
        )
    return Table(f"Two looks among {people:,} people", ("", "seen", "95 %"), rows)


async def run(folder: Path, people: int, persons: int, lookalike: float) -> Table:
    """Load everything into a separate Postgres, and run the probes."""
    population = populate(people, persons, lookalike=lookalike)
    opened, matcher, channel = await stage.start(folder)
    try:
        await load(opened.url(), population)
        outcomes = await ask(matcher, population)
        return table(people, outcomes, await measure(opened.url(), population))
    finally:
        await stage.stop(opened, matcher, channel)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.looks", description=__doc__)
    parser.add_argument("--people", type=int, nargs="+", default=[24_000, 200_000])
    parser.add_argument("--persons", type=int, default=1000, help="with two looks, for each number of photos")
    parser.add_argument("--lookalike", type=float, default=LOOKALIKE, help="how far a look-alike is")
    chosen = parser.parse_args()
    for people in chosen.people:
        with tempfile.TemporaryDirectory(prefix="facerec-looks-") as folder:
            Path(folder).chmod(0o755)  # under root Postgres runs as another user, which must enter it
            found = asyncio.run(run(Path(folder), people, chosen.persons, chosen.lookalike))
        print(found.text(), flush=True)


if __name__ == "__main__":
    main()
