"""The gateway offers every method of every service in protos/."""

import re

from facerec.gateway.methods import METHODS
from facerec.gateway.services import SERVICES
from tests.fixtures.process import ROOT

PACKAGE = re.compile(r"^package (\S+);", re.MULTILINE)
SERVICE = re.compile(r"^service (\w+) \{(.*?)^\}", re.MULTILINE | re.DOTALL)
METHOD = re.compile(r"^  rpc (\w+)\(", re.MULTILINE)


def test_no_method_is_missing() -> None:
    found = set()
    for path in (ROOT / "protos").rglob("*.proto"):
        text = path.read_text()
        for service, body in SERVICE.findall(text):
            package = PACKAGE.findall(text)[0]
            found |= {f"/{package}.{service}/{name}" for name in METHOD.findall(body)}
    assert found == set(METHODS)
    assert {method.service for method in METHODS.values()} == set(SERVICES)
