"""Nothing calls out, and nothing is written where docs/security.md does not say so."""

import pytest

from tests.fixtures.watching.watcher import CannotWatch
from tests.soak.hostile import egress
from tests.soak.hostile.commands import CONTROL

COMMANDS = egress.stated()


@pytest.fixture(scope="module")
def seen() -> dict[str, egress.Seen]:
    try:
        return egress.observe(short=True)
    except CannotWatch as error:
        pytest.skip(f"this machine does not let processes be watched: {error}")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_connects_and_writes_only_as_documented(command: str, seen: dict[str, egress.Seen]) -> None:
    assert not seen[command].wrong, seen[command].figure


def test_telemetry_that_is_not_turned_off_is_detected(seen: dict[str, egress.Seen]) -> None:
    assert seen[CONTROL].calls_out, "ONNX Runtime by itself calls nobody any more: nothing need hold it back"
