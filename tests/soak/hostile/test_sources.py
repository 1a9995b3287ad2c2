"""The attack by hostile files, in its short form."""

from tests.soak.hostile import report, sources


def test_hostile_sources_are_refused_in_little_time_and_memory() -> None:
    found = sources.attack(short=True)
    assert found
    assert not [finding.row for finding in found if not finding.holds], report.HEAD
