"""After any sequence of calls collections equal plain dicts, and distances those that numpy computes."""

from tests.e2e.matcher.machine import drive
from tests.e2e.matcher.model_attributes import AttributesMachine


def test_collections_behave_as_dicts_and_numpy_do(database_url: str) -> None:
    """`make soak-model` runs more and longer sequences."""
    assert drive(AttributesMachine, database_url, sequences=20, steps=40) > 300
