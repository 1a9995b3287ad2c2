"""Tables at terminals of several widths: nothing of them is cut."""

import dataclasses
import datetime
import re

import pytest
from rich.cells import cell_len

from facerec.cli.commands import calibrate
from facerec.cli.terminal import output
from facerec.cli.terminal.tables import format_number, layout
from facerec.client import Calibration, GroupPairRates, GroupRates, OperatingPoint, Rate, SearchRates

WIDTHS = (60, 80, 200)
COLUMNS = ("person", "name", "faces", "distance")
ROWS = (
    ("a" * 64, "Ann", 1, 0.25),
    ("山田太郎" * 8, "山田", 1234, 1.5),
    ("b", "", 20, ""),
)


@pytest.mark.parametrize("width", WIDTHS)
def test_a_table_shows_every_value_whole_and_in_columns_only_where_they_fit(width: int) -> None:
    head, lines = layout(COLUMNS, ROWS, width)
    for value in ("a" * 64, "山田太郎" * 8, "1234", "0.250", "1.500"):
        assert sum(value in line for line in lines) == 1
    assert bool(head) == (width == 200)
    assert not head or max(map(cell_len, [*head, *lines])) <= width


def test_a_row_that_does_not_fit_is_a_line_for_each_value_it_has() -> None:
    _, lines = layout(COLUMNS, ROWS[::2], 40)
    assert lines == [
        f"person    {'a' * 64}",
        "name      Ann",
        "faces     1",
        "distance  0.250",
        "",
        "person    b",
        "faces     20",
    ]


def test_columns_are_aligned_whatever_the_width_of_their_letters() -> None:
    (head, rule), lines = layout(("name", "faces"), [("山田", 5), ("Ann", 12)], 80)
    assert (head, rule) == ("name  faces", "-----------")
    assert lines == ["山田      5", "Ann      12"]


def test_a_pipe_has_no_width() -> None:
    head, lines = layout(("person", "name"), [("a" * 300, "b" * 300)], None)
    assert (len(head), lines) == (2, [f"{'a' * 300}  {'b' * 300}"])


@pytest.mark.parametrize(
    ("value", "shown"),
    [(170.0, "170"), (1234.0, "1200"), (2.5e-07, "0.00000025"), (0.00094, "0.00094"), (0.0, "0"), (1, "1")],
)
def test_a_figure_is_written_out(value: float, shown: str) -> None:
    assert format_number(value) == shown


def calibration() -> Calibration:
    """One whose figures are as long as they come."""
    rate = Rate(2.5e-07, 1.2e-07, 1.3e-06)
    point = OperatingPoint(0.55, rate, rate, 172.4)
    now = datetime.datetime.now(datetime.UTC)
    return Calibration(
        calibration_id="c",
        create_time=now,
        faces=400,
        genuine_persons=200,
        genuine_pairs=200,
        impostor_persons=200,
        impostor_pairs=19900,
        target_fmr=1e-05,
        target_false_positives=0.01,
        verify=point,
        identify=point,
        identify_needs="",
        likely_duplicates=(),
        curve=(point,),
        genuine_counts=(0,),
        impostor_counts=(0,),
        groups=(),
        between_groups=(),
        one_threshold_serves="",
        omitted_groups=0,
        searches=(),
        scores=(),
        score_rule="",
    )


@pytest.mark.parametrize("width", WIDTHS)
def test_a_calibration_shows_its_false_matches_and_no_exponents(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", str(width))
    calibrate.show(calibration())
    shown = capsys.readouterr().out
    assert shown.count("0.00000025 (0.00000012-0.0000013)") == 6
    assert shown.count("170") == 3
    assert "FMR 0.00001 for verify," in shown
    assert "e-0" not in shown
    assert "..." not in shown
    assert "…" not in shown


def test_a_calibration_shows_groups_what_they_need_and_thresholds_of_searches(
    capsys: pytest.CaptureFixture[str],
) -> None:
    rate = Rate(0.002, 0.001, 0.004)
    measured = GroupRates("oslo", 300, 200, 19900, 100, 100, rate, rate, True, 0.515, rate, "", 142)
    few = GroupRates(None, 9, 9, 36, 0, 0, None, None, False, None, None, "set max_persons to 300", 142)
    found = dataclasses.replace(
        calibration(),
        groups=(measured, few),
        between_groups=(GroupPairRates("oslo", None, rate, True, None),),
        one_threshold_serves="exceeded",
        omitted_groups=0,
        searches=(
            SearchRates(0.003, 0.42, rate, rate, ""),
            SearchRates(0.001, None, None, None, "set max_persons to 10000"),
        ),
    )
    calibrate.show(found)
    shown = capsys.readouterr().out
    oslo, nobody, pair = (line for line in shown.splitlines() if line.startswith(("oslo  ", "(without")))
    assert oslo.split() == ["oslo", "300", "0.002", "(0.001-0.004)", "0.002", "(0.001-0.004)", "0.515"]
    assert nobody.split() == ["(without", "the", "label)", "9"]
    assert pair.split() == ["oslo", "(without", "the", "label)", "0.002", "(0.001-0.004)", "FMR"]
    assert "one threshold does not serve all groups: the target FMR is exceeded within oslo" in shown
    assert "no rates of (without the label): set --max-persons to 300" in shown
    assert re.search(r"FPIR 0.003 +0.420 +0.002 \(0.001-0.004\) ", shown)
    assert "no threshold for FPIR 0.001: set --max-persons to 10000" in shown


def test_a_table_stands_between_empty_lines_at_a_terminal_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    output.table(("person", "faces"), [("ann", 1)])
    assert capsys.readouterr().out == "person  faces\n-------------\nann         1\n"
    monkeypatch.setenv("FORCE_COLOR", "1")
    output.table(("person", "faces"), [("ann", 1)])
    lines = capsys.readouterr().out.splitlines()
    assert (len(lines), lines[0], lines[-1]) == (5, "", "")


def test_advice_of_a_calibration_names_the_commands_flags(
    capsys: pytest.CaptureFixture[str],
) -> None:
    asks = "ask for target_false_positives of 0.1 or more or set max_persons to 5000, where there are as many"
    calibrate.show(dataclasses.replace(calibration(), identify=None, identify_needs=asks))
    shown = capsys.readouterr().out
    assert "ask for --target-false-positives of 0.1 or more or set --max-persons to 5000" in shown


@pytest.mark.parametrize("width", WIDTHS)
def test_a_table_is_laid_out_for_the_terminal_it_goes_to(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", str(width))
    output.table(COLUMNS, ROWS)
    shown = capsys.readouterr().out
    assert ("a" * 64 in shown, "山田太郎" * 8 in shown) == (True, True)
    assert ("--------" in shown) == (width == 200)
