"""The OpenAPI document of the short paths, which `make stubs` generates from the contract."""

import functools
from importlib import resources


@functools.cache
def document() -> bytes:
    """The document, as JSON."""
    return resources.files(__package__).joinpath("openapi.json").read_bytes()
