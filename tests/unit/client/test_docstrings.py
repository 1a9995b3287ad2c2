"""What the docstrings of the clients describe; that their examples run is tested with real services."""

import dataclasses
import inspect
import re
from typing import Any

import pytest

import facerec.client
from facerec.client import CollectionClient, EncoderClient, MatcherClient, Security
from facerec.client.calls.encoding import Options
from facerec.errors import FacerecError

METHODS = {
    f"{client.__name__}.{name}": method
    for client in (EncoderClient, MatcherClient, CollectionClient)
    for name, method in inspect.getmembers(client, inspect.isfunction)
    if not name.startswith("_") and name != "close"
}
CLASSES = {name: getattr(facerec.client, name) for name in facerec.client.__all__}
DATACLASSES = {name: kind for name, kind in CLASSES.items() if dataclasses.is_dataclass(kind)}


def described(docstring: str | None) -> set[str]:
    """The names that a docstring describes, each in a line `name: ...`, or several in one."""
    lines = re.findall(r"^ +\*{0,2}(\w+(?:, \w+)*): ", inspect.cleandoc(docstring or ""), re.MULTILINE)
    return {name for line in lines for name in line.split(", ")}


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_a_method_describes_each_parameter_its_answer_and_its_errors(method: Any) -> None:
    parameters = set(inspect.signature(method).parameters) - {"self"}
    found = described(method.__doc__)
    if "options" in parameters and "options" not in found:  # those of an image, one by one
        parameters = parameters - {"options"} | set(Options.__annotations__)
    assert parameters <= found
    assert "Returns:" in method.__doc__
    assert "Raises:" in method.__doc__
    is_call = method.__name__ != "with_options"
    assert is_call == ("Any call may also raise FacerecError" in method.__doc__)


@pytest.mark.parametrize("kind", DATACLASSES.values(), ids=DATACLASSES)
def test_a_dataclass_describes_each_field(kind: Any) -> None:
    assert {field.name for field in dataclasses.fields(kind)} <= described(kind.__doc__)


def test_clients_security_and_errors_describe_their_fields() -> None:
    for client in (kind for name, kind in CLASSES.items() if name.endswith("Client")):
        assert set(inspect.signature(client).parameters) <= described(client.__doc__)
    assert set(inspect.signature(Security.from_environment).parameters) <= described(
        Security.from_environment.__doc__
    )
    assert set(inspect.signature(FacerecError).parameters) <= described(FacerecError.__doc__)
