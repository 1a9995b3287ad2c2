"""How durations are shown."""

import datetime

import pytest

from facerec.cli.terminal import times


@pytest.mark.parametrize("length", ["52w", "90d", "26h", "90m", "7s"])
def test_a_duration_is_shown_as_it_was_given_also_where_the_audit_has_it(length: str) -> None:
    duration = times.parse_duration(length, "--retention")
    assert times.format_duration(duration) == length
    shown = times.shorten_durations(f"{datetime.timedelta(0)} -> {duration}")
    assert shown == f"for ever -> {length}"
