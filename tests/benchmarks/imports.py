"""How quickly encodings are imported and exported, compared with a bare COPY and a classifier's training.

`python -m tests.benchmarks.imports [--faces 1000000]`
"""

import argparse
import asyncio
import io
import pickle
import sys
import time
from collections.abc import Iterator, Sequence

import asyncpg
import psutil
from sklearn.neighbors import KNeighborsClassifier

from facerec.client import FaceBatch, MatcherClient
from matcher_service.postgres.vectors import vector_wire
from tests.benchmarks.encoder.tables import table
from tests.benchmarks.vectors import Dataset, Faces
from tests.fixtures.dataset import SPACE
from tests.soak.matcher.stack import Stack

BATCH_FACES = 2000


def batches(blocks: Sequence[Faces]) -> Iterator[FaceBatch]:
    """The dataset in the form that an import takes."""
    for faces in blocks:
        names = [f"p{number}" for number in faces.people]
        for first in range(0, len(names), BATCH_FACES):
            part = slice(first, first + BATCH_FACES)
            yield FaceBatch(faces.encodings[part], names[part])


async def copied(url: str, blocks: Sequence[Faces]) -> float:
    """Seconds that a bare COPY into a table without an index takes: what Postgres itself can do."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("CREATE TABLE bare (person text, encoding vector(128))")
        await connection.execute("ALTER TABLE bare ALTER encoding SET STORAGE PLAIN")
        await connection.set_type_codec(
            "vector", schema="public", encoder=bytes, decoder=bytes, format="binary"
        )
        began = time.perf_counter()
        for faces in blocks:
            rows = [
                (f"p{number}", vector_wire(encoding))
                for number, encoding in zip(faces.people, faces.encodings, strict=True)
            ]
            await connection.copy_records_to_table("bare", records=rows, columns=["person", "encoding"])
        return time.perf_counter() - began
    finally:
        await connection.close()


def trained(blocks: Sequence[Faces]) -> float:
    """Seconds to fit and pickle a classifier on the same, at most 100,000 of them, carried on linearly."""
    faces = blocks[0]
    began = time.perf_counter()
    fitted = KNeighborsClassifier(n_neighbors=1, algorithm="ball_tree").fit(faces.encodings, faces.people)
    with io.BytesIO() as out:
        pickle.dump(fitted, out)
    return (time.perf_counter() - began) * sum(len(b.people) for b in blocks) / len(faces.people)


def run(faces: int) -> None:
    """Print the table."""
    blocks = list(Dataset(faces // 2, photos=2, even=True).blocks())
    count = sum(len(block.people) for block in blocks)
    rows = []
    with Stack.open(replicas=1) as stack, MatcherClient(stack.addresses[0]) as client:
        server = psutil.Process(stack.replicas[0]._server.process.pid)
        client.import_faces(iter([]), space=SPACE, import_id="warm")
        memory = [server.memory_info().rss]
        began = time.perf_counter()

        def watched() -> Iterator[FaceBatch]:
            for number, batch in enumerate(batches(blocks)):
                if number % 50 == 0:
                    memory.append(server.memory_info().rss)
                yield batch

        report = client.import_faces(watched(), space=SPACE, import_id="bench")
        seconds = time.perf_counter() - began
        assert (report.faces_added, report.rows_refused) == (count, 0)
        rows.append(("ImportFaces", f"{seconds:.1f}", f"{count / seconds:,.0f}", f"{memory[-1] / 2**20:.0f}"))
        began = time.perf_counter()
        assert sum(map(len, client.export_faces())) == count
        out = time.perf_counter() - began
        rows.append(
            ("ExportFaces", f"{out:.1f}", f"{count / out:,.0f}", f"{server.memory_info().rss / 2**20:.0f}")
        )
        bare = asyncio.run(copied(stack.database_url, blocks))
        rows.append(("COPY, no index, no person", f"{bare:.1f}", f"{count / bare:,.0f}", ""))
    knn = trained(blocks)
    rows.append(
        ("a classifier fitted and pickled, by its first block", f"{knn:.1f}", f"{count / knn:,.0f}", "")
    )
    print(f"{count:,} encodings of {faces // 2:,} people; Postgres, matcher and client share the cores\n")
    print(table(("work", "seconds", "faces a second", "matcher's MiB"), rows))
    third = memory[len(memory) // 3]
    print(
        f"\nmatcher's resident memory: {memory[0] / 2**20:.0f} MiB before, {third / 2**20:.0f} after a third"
    )


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.imports")
    parser.add_argument("--faces", type=int, default=1_000_000)
    run(parser.parse_args().faces)
    return 0


if __name__ == "__main__":
    sys.exit(main())
