"""Plots a calibration: the distances of pairs, and the error rates by threshold."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from facerec.cli.terminal.errors import Problem
from facerec.client.results.calibrations import BIN_DISTANCE

if TYPE_CHECKING:
    from facerec.client import Calibration, OperatingPoint, Rate

SAME, DIFFERENT = "#1b7f4d", "#b3372f"
BARS = 4  # bins a bar
SMALLEST = 1e-6


def draw(found: "Calibration", collection: str, target: Path) -> None:
    """Write the plot of a collection's calibration. Raises Problem if the file can't be written."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    # A strip at the bottom is left for the provenance.
    figure = Figure(figsize=(9, 7), layout=ConstrainedLayoutEngine(rect=(0, 0.035, 1, 0.965)))
    FigureCanvasAgg(figure)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[1, 1.2])
    figure.suptitle(_title(found), fontsize=12, x=0.01, ha="left")
    _distances(above, found)
    _rates(below, found)
    for axes in (above, below):
        axes.spines[["top", "right"]].set_visible(False)
        _mark(axes, found.verify, "verify", "#222222")
        if found.identify:
            _mark(axes, found.identify, "identify", "#5555aa")
    below.set_xlim(*_span(found))
    source = _provenance(found, collection)
    figure.text(0.99, 0.005, source, fontsize=7, color="#555555", ha="right")
    try:
        figure.savefig(target, format="png", dpi=120, metadata={"Description": source})
    except OSError as error:
        raise Problem(f"{target}: {(error.strerror or 'cannot be written').lower()}", "FILE") from error


def _provenance(found: "Calibration", collection: str) -> str:
    """What was measured and when, as the plot may be found without the command that drew it."""
    return (
        f"collection {collection}, {found.create_time:%Y-%m-%d %H:%M} UTC, "
        f"calibration {found.calibration_id}\n"
        f"{found.genuine_pairs:,} pairs of one person, {found.impostor_pairs:,} of two; "
        f"verify threshold {found.verify.threshold:.3f}"
    )


def _title(found: "Calibration") -> str:
    point = found.verify
    rejected = f"{_share(point.fnmr)} of true claims rejected" if point.fnmr else "true claims not measured"
    accepted = f"1 false claim in {1 / (point.fmr.value or point.fmr.high):,.0f} accepted"
    return f"A threshold of {point.threshold:.3f}: {rejected}, {accepted}"


def _share(rate: "Rate") -> str:
    return f"{rate.value:.1%}" if rate.value else f"under {rate.high:.1%}"


def _distances(axes: Any, found: "Calibration") -> None:
    for counts, color, name in (
        (found.genuine_counts, SAME, "same person"),
        (found.impostor_counts, DIFFERENT, "different people"),
    ):
        bars = np.add.reduceat(np.array(counts, float), np.arange(0, len(counts), BARS))
        if bars.sum():
            left = BIN_DISTANCE * BARS * np.arange(len(bars))
            heights = bars / bars.sum()
            axes.bar(left, heights, BIN_DISTANCE * BARS, align="edge", color=color, alpha=0.6, label=name)
    axes.set_ylabel("share of pairs")
    axes.legend(frameon=False, loc="upper right")


def _rates(axes: Any, found: "Calibration") -> None:
    points = found.curve
    x = [point.threshold for point in points]
    _band(axes, x, [point.fmr for point in points], DIFFERENT, "false matches (FMR)")
    if points[0].fnmr:
        _band(axes, x, [point.fnmr for point in points], SAME, "false non-matches (FNMR)")
    axes.set_yscale("log")
    axes.set_ylim(SMALLEST, 1.2)
    axes.set_ylabel("error rate, with its 95 % interval")
    axes.set_xlabel("threshold: the largest distance that matches")
    axes.grid(axis="y", alpha=0.25)
    axes.legend(frameon=False, loc="lower right")


def _band(axes: Any, x: list[float], rates: list[Any], color: str, name: str) -> None:
    low, middle, high = (
        np.maximum([getattr(rate, end) for rate in rates], SMALLEST) for end in ("low", "value", "high")
    )
    axes.fill_between(x, low, high, color=color, alpha=0.2, linewidth=0)
    # If no error occurred there is no rate to draw, only its upper bound.
    axes.plot(x, np.where(middle > SMALLEST, middle, np.nan), color=color, label=name)


def _mark(axes: Any, point: "OperatingPoint", name: str, color: str) -> None:
    axes.axvline(point.threshold, color=color, linestyle="--", linewidth=1)
    axes.annotate(
        f" {name} {point.threshold:.3f}",
        (point.threshold, 1),
        xycoords=("data", "axes fraction"),
        va="top" if name == "verify" else "bottom",
        color=color,
        fontsize=9,
    )


def _span(found: "Calibration") -> tuple[float, float]:
    """The limits of the x axis: from the nearest to the farthest pair, with a margin."""
    counts = np.array(found.genuine_counts) + np.array(found.impostor_counts)
    occupied = np.flatnonzero(counts)
    return max(0.0, BIN_DISTANCE * occupied[0] - 0.05), BIN_DISTANCE * occupied[-1] + 0.05
