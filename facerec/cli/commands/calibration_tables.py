"""Prints the parts of a calibration that are about searches and about groups of people."""

from typing import TYPE_CHECKING

from facerec.cli.terminal import output
from facerec.cli.terminal.tables import format_number

if TYPE_CHECKING:
    from facerec.client import Calibration, GroupPairRates, Rate

VERDICTS = {
    "serves": "one threshold serves all groups: none exceeds the target FMR",
    "exceeded": "one threshold does not serve all groups: the target FMR is exceeded within",
    "undecided": "it is not known whether one threshold serves all groups: a group has no rates, or its "
    "interval contains the target FMR",
}


def rate(found: "Rate | None") -> str:
    """A rate and its interval; "" for none."""
    if found is None:
        return ""
    return f"{format_number(found.value)} ({format_number(found.low)}-{format_number(found.high)})"


def show_searches(found: "Calibration") -> None:
    """Print the thresholds by FPIR, where one was measured."""
    measured = [each for each in found.searches if each.threshold is not None]
    if measured:
        columns = ("searches for", "threshold", "FPIR (95 %)", "FNIR (95 %)")
        rows = [
            (
                f"FPIR {format_number(each.target_fpir)}",
                f"{each.threshold:.3f}",
                rate(each.fpir),
                rate(each.fnir),
            )
            for each in measured
        ]
        output.table(columns, rows)


def show_groups(found: "Calibration") -> None:
    """Print the groups, which of them differ, and whether one threshold serves all."""
    if not found.groups:
        return
    output.table(
        ("group", "people", "FMR (95 %)", "FNMR (95 %)", "own threshold"),
        [
            (
                group_name(each.value),
                each.persons,
                rate(each.fmr),
                rate(each.fnmr),
                "" if each.own_threshold is None else f"{each.own_threshold:.3f}",
            )
            for each in found.groups
        ],
    )
    if found.between_groups:
        output.table(
            ("between", "and", "FMR (95 %)", "differ in"),
            [
                (group_name(each.value_a), group_name(each.value_b), rate(each.fmr), _differences(each))
                for each in found.between_groups
            ],
        )
    else:
        output.line("there is no other group to compare it with")
    exceeding = ", ".join(group_name(each.value) for each in found.groups if each.exceeds_target)
    output.line(f"{VERDICTS[found.one_threshold_serves]} {exceeding}".rstrip())


def group_name(value: str | None) -> str:
    """A group, for people."""
    return "(without the label)" if value is None else value


def _differences(pair: "GroupPairRates") -> str:
    """The rates in which two groups differ."""
    named = [("FMR", pair.fmr_differs), ("FNMR", pair.fnmr_differs)]
    return ", ".join(text for text, differs in named if differs)
