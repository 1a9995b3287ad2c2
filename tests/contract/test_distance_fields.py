"""What callers without scores learn of distances: each field is classified, and documented if needed."""

import re
from pathlib import Path

from tests.contract import comments
from tests.contract.distance_fields import FIELDS, METADATA, Disclosure, answered, twice

SECURITY = Path(__file__).parents[2] / "docs" / "security.md"
ROW = re.compile(r"^\| `(\w+)` \|([^|]*)\|([^|]*)\|([^|]*)\|$", re.MULTILINE)
NAME = re.compile(r"`(\w+)`")


def documented() -> dict[str, Disclosure]:
    """The table of docs/security.md, as the one of distance_fields."""
    found: dict[str, Disclosure] = {}
    for message, *columns in ROW.findall(SECURITY.read_text(encoding="utf-8")):
        for disclosure, column in zip(
            (Disclosure.WITHHELD, Disclosure.MATCH, Disclosure.PUBLIC), columns, strict=True
        ):
            found |= {f"{message}.{field}": disclosure for field in NAME.findall(column)}
    return found


def test_every_field_of_every_answer_is_classified_once() -> None:
    assert set(FIELDS) == answered()
    assert not twice()


def test_the_documentation_lists_every_field_that_depends_on_a_distance() -> None:
    expected = {
        name: disclosure
        for name, disclosure in FIELDS.items()
        if disclosure not in (Disclosure.NOTHING, Disclosure.REFUSED)
    }
    assert documented() == expected
    text = SECURITY.read_text(encoding="utf-8")
    for reason, key in METADATA:
        assert f"`{reason}`" in text
        assert f"`{key}`" in text


def test_the_contract_says_of_each_withheld_field_what_is_answered_without_scores() -> None:
    said = {symbol.full_name.split("v1.")[1]: symbol.comment for symbol in comments.read() if symbol.field}
    for name, disclosure in FIELDS.items():
        if disclosure is Disclosure.WITHHELD:
            assert "without scores" in said[name], name
