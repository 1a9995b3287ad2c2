"""Plain tables for printing."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Seconds = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Figure:
    """One thing measured. `met` is None where there is no goal."""

    what: str
    seen: str
    goal: str = ""
    met: bool | None = None

    @classmethod
    def at_most(cls, what: str, seen: float, goal: float, unit: str = "") -> "Figure":
        return cls(what, f"{seen:.4g}{unit}", f"at most {goal:g}{unit}", seen <= goal)

    @classmethod
    def at_least(cls, what: str, seen: float, goal: float, unit: str = "") -> "Figure":
        return cls(what, f"{seen:.4g}{unit}", f"at least {goal:g}{unit}", seen >= goal)

    @classmethod
    def plain(cls, what: str, seen: float, unit: str = "") -> "Figure":
        return cls(what, f"{seen:.4g}{unit}")


@dataclass(frozen=True)
class Table:
    """A table with its title; the first column is text, the others are figures."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()

    @classmethod
    def of_figures(cls, title: str, figures: Iterable[Figure], notes: Sequence[str] = ()) -> "Table":
        met = {True: "yes", False: "MISSED", None: ""}
        rows = [(figure.what, figure.seen, figure.goal, met[figure.met]) for figure in figures]
        return cls(title, ("", "seen", "goal", "met"), rows, notes)

    def text(self) -> str:
        """The table as Markdown, which reads well in a terminal too."""
        rows = [tuple(self.columns), *(tuple(row) for row in self.rows)]
        widths = [max(3, *(len(row[column]) for row in rows)) for column in range(len(self.columns))]
        lines = [
            "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
            for row in rows
        ]
        lines.insert(1, "| " + " | ".join("-" * width for width in widths) + " |")
        return "\n".join([f"### {self.title}", "", *lines, *(f"\n{note}" for note in self.notes), ""])


def milliseconds(times: Seconds, percent: float = 50) -> float:
    """A percentile of times, in milliseconds."""
    return float(np.percentile(times, percent)) * 1000
