"""Tables in Markdown, and medians of several runs."""

import statistics
import time
from collections.abc import Callable, Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def median_seconds(work: Callable[[], object], *, runs: int = 5, warm_up: int = 1) -> float:
    """The median time of several runs."""
    for _ in range(warm_up):
        work()
    times = []
    for _ in range(runs):
        begin = time.perf_counter()
        work()
        times.append(time.perf_counter() - begin)
    return statistics.median(times)
