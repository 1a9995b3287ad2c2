"""The attack on operators' terminals, in its short form."""

from tests.soak.hostile import terminal


def test_no_stored_name_steers_the_terminal_that_shows_it() -> None:
    found = terminal.attack(short=True)
    assert len(found) == 3
    assert all(finding.holds for finding in found), found
