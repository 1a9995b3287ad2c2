"""`python -m tests.benchmarks.matcher [--faces N] [--data DIR] [PART ...]`."""

import argparse
import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from tests.benchmarks.matcher import (
    changes,
    decisions,
    filters,
    flood,
    growth,
    identify,
    locked,
    pooled,
    shared,
    standbys,
    verify,
)
from tests.benchmarks.matcher.stage import Stage, million
from tests.benchmarks.matcher.tables import Table
from tests.benchmarks.vectors import Dataset

PARTS: dict[str, Callable[[Stage], Awaitable[Table]]] = {
    "verify": verify.run,
    "identify": identify.run,
    "decisions": decisions.run,
    "flood": flood.run,
    "changes": changes.run,
    "growth": growth.run,
    "locked": locked.run,
    "shared": shared.run,
    "standbys": standbys.run,
    "pooled": pooled.run,
    "filters": filters.run,
}
PHOTOS = 2


async def main() -> None:
    parser = argparse.ArgumentParser(prog="bench-matcher", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all if none")
    parser.add_argument("--faces", type=int, default=1_000_000, help="faces of half as many people")
    parser.add_argument("--data", type=Path, help="keep the database here, and use again what is there")
    chosen = parser.parse_args()
    if unknown := set(chosen.parts) - set(PARTS):
        parser.error(f"there is no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    start = time.perf_counter()
    dataset = Dataset(chosen.faces // PHOTOS, photos=PHOTOS, even=True)
    async with million(dataset, chosen.data) as stage:
        for name in chosen.parts or PARTS:
            begun = time.perf_counter()
            print(f"\n{(await PARTS[name](stage)).text()}({time.perf_counter() - begun:.0f} s)", flush=True)
    print(f"\n{time.perf_counter() - start:.0f} s in all")


if __name__ == "__main__":
    asyncio.run(main())
