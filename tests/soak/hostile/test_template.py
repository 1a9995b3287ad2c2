"""A stored vector is not recovered by a key that has no right to more than a few failed tries."""

import re

from facerec.serving.auth.permissions import TRIES_WITH_ENCODINGS
from tests.fixtures.process import ROOT
from tests.soak.hostile import template
from tests.soak.hostile.recovery import nearest_distance

ROW = re.compile(r"\| (immediately|a day|a week|a month) \| (\d+) \| ([\d.]+) \|")
DAYS = {"immediately": 0, "a day": 1, "a week": 7, "a month": 30}


def test_only_keys_that_were_granted_it_recover_a_stored_vector() -> None:
    found = template.attack(short=True)
    assert all(finding.holds for finding in found), "\n".join(finding.row for finding in found)


def test_the_documented_effect_of_failed_tries_equals_the_calculation() -> None:
    rows = ROW.findall((ROOT / "docs" / "security.md").read_text(encoding="utf-8"))
    assert len(rows) == len(DAYS)
    for after, tries, distance in rows:
        assert int(tries) == TRIES_WITH_ENCODINGS * (1 + DAYS[after])
        assert float(distance) == round(nearest_distance(template.DISTANCE, int(tries)), 2)
