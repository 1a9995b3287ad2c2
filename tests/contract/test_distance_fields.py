"""What a caller without scores is told of distances: each field is classified, and documented if needed."""

import re
from pathlib import Path

from tests.contract import comments
from tests.contract.distance_fields import FIELDS, METADATA, Told, answered, twice

SECURITY = Path(__file__).parents[2] / "docs" / "security.md"
ROW = re.compile(r"^\| `(\w+)` \|([^|]*)\|([^|]*)\|([^|]*)\|$", re.MULTILINE)
NAME = re.compile(r"`(\w+)`")


def documented() -> dict[str, Told]:
    """The table of docs/security.md, as the one of distance_fields."""
    found: dict[str, Told] = {}
    for message, *columns in ROW.findall(SECURITY.read_text(encoding="utf-8")):
        for told, column in zip((Told.WITHHELD, Told.MATCH, Told.PUBLIC), columns, strict=True):
            found |= {f"{message}.{field}": told for field in NAME.findall(column)}
    return found


def test_every_field_of_every_answer_is_classified_once() -> None:
    assert set(FIELDS) == answered()
    assert not twice()


def test_the_documentation_lists_every_field_that_depends_on_a_distance() -> None:
    expected = {name: told for name, told in FIELDS.items() if told not in (Told.NOTHING, Told.REFUSED)}
    assert documented() == expected
    text = SECURITY.read_text(encoding="utf-8")
    for reason, key in METADATA:
        assert f"`{reason}`" in text
        assert f"`{key}`" in text


def test_the_contract_says_of_each_withheld_field_what_is_answered_without_scores() -> None:
    said = {symbol.full_name.split("v1.")[1]: symbol.comment for symbol in comments.read() if symbol.field}
    for name, told in FIELDS.items():
        if told is Told.WITHHELD:
            assert "without scores" in said[name], name
