"""The examples in the docstrings of the clients, as doctests."""

import asyncio
import contextlib
import datetime
import doctest
import importlib
import pkgutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import grpc
import numpy as np

import facerec.client
import facerec.errors
from facerec.client.channel import MATCHER_SERVICE
from facerec.matcher.v1 import GetPersonRequest, MatcherServiceStub

NAMES: dict[str, Any] = {
    **{name: getattr(facerec.client, name) for name in facerec.client.__all__},
    "FacerecError": facerec.errors.FacerecError,
    "Reason": facerec.errors.Reason,
    "MATCHER_SERVICE": MATCHER_SERVICE,
    "MatcherServiceStub": MatcherServiceStub,
    "GetPersonRequest": GetPersonRequest,
    "Path": Path,
    "asyncio": asyncio,
    "contextlib": contextlib,
    "datetime": datetime,
    "grpc": grpc,
    "np": np,
}
"""What an example may use without importing it."""


def _modules() -> Iterator[ModuleType]:
    yield facerec.errors
    yield facerec.client
    for found in pkgutil.walk_packages(facerec.client.__path__, "facerec.client."):
        yield importlib.import_module(found.name)


def examples() -> list[doctest.DocTest]:
    """Every docstring that has examples, once."""
    finder = doctest.DocTestFinder()
    found = [test for module in _modules() for test in finder.find(module) if test.examples]
    found.sort(key=lambda test: test.name)  # of two with one docstring the blocking client's comes last
    return list({test.docstring: test for test in found}.values())


def run(test: doctest.DocTest, names: dict[str, Any], here: Callable[[str], str]) -> str:
    """Run a docstring's examples, each changed by `here`; returns how the results differ from it."""
    for example in test.examples:
        example.source = here(example.source)
    test.globs = {**NAMES, **names}
    differences: list[str] = []
    doctest.DocTestRunner(verbose=False).run(test, out=differences.append)
    return "".join(differences)
