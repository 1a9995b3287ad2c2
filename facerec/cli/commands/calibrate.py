"""`facerec calibrate`."""

import contextlib
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facerec.cli.commands.calibration_tables import group_name, rate, show_groups, show_searches
from facerec.cli.commands.collection_options import Rule
from facerec.cli.terminal import output
from facerec.cli.terminal.errors import Problem
from facerec.cli.terminal.options import (
    MATCHER_ADDRESS,
    Collection,
    Json,
    Matcher,
    MaxStaleness,
    collection_client,
)
from facerec.cli.terminal.repeating import RequestId, asked_for_again
from facerec.cli.terminal.tables import format_number
from facerec.contract import DEFAULT_COLLECTION_ID
from facerec.errors import FacerecError, Reason

if TYPE_CHECKING:
    from facerec.client import Calibration, OperatingPoint

TIMEOUT_SECONDS = 600
SHOWN = (0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7)


def calibrate(
    target_fmr: Annotated[
        float | None,
        typer.Option(min=1e-7, max=0.1, help="Target false match rate of verify.  [default: 0.001]"),
    ] = None,
    target_false_positives: Annotated[
        float | None,
        typer.Option(
            min=1e-4,
            max=10,
            help="Target for identify: expected false positives per unenrolled face.  [default: 0.01]",
        ),
    ] = None,
    max_persons: Annotated[
        int, typer.Option(min=0, max=50000, help="Compare at most this many people; 0 is 1000.")
    ] = 0,
    group_label: Annotated[
        str,
        typer.Option(
            metavar="KEY", help="Compare the people with each value of this label.", show_default=False
        ),
    ] = "",
    score_rule: Annotated[
        Rule | None,
        typer.Option(
            "--score-rule", help="Threshold of claims by this rule; --apply sets it too.  [default: of pairs]"
        ),
    ] = None,
    photos: Annotated[
        int, typer.Option(min=0, max=5, help="Measure claims of up to so many photos by each rule.")
    ] = 0,
    plot: Annotated[
        Path | None,
        typer.Option(
            metavar="OUT.png",
            help="Plot distances and error rates; needs matplotlib: pip install matplotlib.",
        ),
    ] = None,
    apply: Annotated[bool, typer.Option("--apply", help="Set the collection's thresholds to these.")] = False,
    request_id: RequestId = "",
    max_staleness: MaxStaleness = None,
    collection: Collection = DEFAULT_COLLECTION_ID,
    address: Matcher = MATCHER_ADDRESS,
    json: Json = False,
) -> None:
    """Measure a collection's error rates, and find thresholds.

    The rates are measured on the collection's own people.
    """
    if plot:
        _check_plot()
    with collection_client(address, collection_id=collection) as client:
        with _problems_with_flags(group_label), asked_for_again(request_id) as chosen:
            found = client.with_options(timeout_seconds=TIMEOUT_SECONDS).calibrate(
                target_fmr=target_fmr,
                target_false_positives=target_false_positives,
                max_persons=max_persons,
                group_label=group_label,
                max_staleness_seconds=max_staleness,
                request_id=chosen,
                score_rule=score_rule and score_rule.replace("-", "_"),
                photos=photos,
                collection_id=collection,
            )
        applied = client.apply_calibration(found.calibration_id, collection_id=collection) if apply else None
    if plot:
        from facerec.cli.drawing.plotting import draw

        draw(found, collection, plot)
    if json:
        output.as_json({"calibration": found, "applied": applied})
        return
    show(found)
    if applied:
        output.line(
            f"applied: verify {applied.old_verify_threshold:.3f} -> {applied.verify_threshold:.3f}, "
            f"identify {applied.old_identify_threshold:.3f} -> {applied.identify_threshold:.3f}, "
            f"score rule {_words(applied.score_rule)}"
        )
    else:
        output.line("nothing was changed; --apply sets the collection's thresholds to these")


@contextlib.contextmanager
def _problems_with_flags(group_label: str) -> Iterator[None]:
    """Name fields of the contract by their flags in errors, and the label that an error is about."""
    try:
        yield
    except FacerecError as error:
        if error.reason is not Reason.CALIBRATION_UNSUPPORTED:
            raise
        about = f"--group-label {group_label}: " if error.field == "group_label" else ""
        raise Problem(about + _in_flags(error.message), error.reason) from error


def _in_flags(advice: str) -> str:
    """Replace the contract's field names by this command's flags."""
    for field in ("target_fmr", "target_false_positives", "max_persons", "group_label"):
        advice = advice.replace(field, f"--{field.replace('_', '-')}")
    return advice


def _check_plot() -> None:
    from importlib.util import find_spec

    if find_spec("matplotlib") is None:
        python = shlex.quote(sys.executable)
        raise Problem(
            f"--plot needs matplotlib, which is not installed: {python} -m pip install matplotlib", "USAGE"
        )


def show(found: "Calibration") -> None:
    """Print a calibration for people."""
    output.line(
        f"{output.counted(found.genuine_pairs, 'pair')} of faces of the same person "
        f"({found.genuine_persons} people), {output.counted(found.impostor_pairs, 'pair')} of faces of "
        f"different people ({found.impostor_persons} people)"
    )
    steps = [point for point in found.curve if any(abs(point.threshold - t) < 1e-6 for t in SHOWN)]
    rows = [("", point) for point in steps] + [("verify", found.verify)]
    if found.identify:
        rows.append(("identify", found.identify))
    rows.sort(key=lambda row: row[1].threshold)
    columns = ("for", "threshold", "FMR (95 %)", "FNMR (95 %)", "false positives")
    output.table(columns, [(name, *_cells(point)) for name, point in rows])
    output.line(
        f"targets: FMR {format_number(found.target_fmr)} for verify, "
        f"{format_number(found.target_false_positives)} expected false positives per search for identify"
    )
    show_searches(found)
    show_groups(found)
    if found.scores:
        columns = ("score rule", "photos", "threshold", "FMR (95 %)", "FNMR (95 %)")
        output.table(
            columns,
            [(_words(each.score_rule), each.photos, *_cells(each.point)[:3]) for each in found.scores],
        )
    for missing, needs in _needs(found):
        if needs:
            output.line(f"{missing}: {_in_flags(needs)}")
    output.line("people enrolled under two ids raise the FMR: `facerec duplicates` finds them")


def _needs(found: "Calibration") -> Iterator[tuple[str, str]]:
    """What could not be measured, and what it takes."""
    yield "no identify threshold", found.identify_needs
    for search in found.searches:
        yield f"no threshold for FPIR {format_number(search.target_fpir)}", search.needs
    for group in found.groups:
        yield f"no rates of {group_name(group.value)}", group.needs
    if found.omitted_groups:
        groups = output.counted(found.omitted_groups, "group")
        yield f"{groups} left out", "with fewer than 20 people; rates need 20 at least"


def _cells(point: "OperatingPoint") -> tuple[str, ...]:
    return (
        f"{point.threshold:.3f}",
        rate(point.fmr),
        rate(point.fnmr),
        format_number(point.expected_false_positives),
    )


def _words(rule: str) -> str:
    return rule.replace("_", " ")
