"""Gateways as processes of their own, in front of real services."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.fixtures.gateway import GatewayProcess, StartGateway


@pytest.fixture
def start_gateway() -> Iterator[StartGateway]:
    """Starts a gateway before the services at two addresses, and ends it after the test."""
    with ExitStack() as stack:

        def start(encoder: str, matcher: str, *flags: str) -> GatewayProcess:
            gateway = GatewayProcess(encoder, matcher, "--grace-seconds", "1", *flags)
            stack.callback(gateway.stop)
            gateway.event("listening")
            return gateway

        yield start


@pytest.fixture(scope="module")
def gateway(encoder_address: str, matcher_address: str) -> Iterator[str]:
    """HOST:PORT of a gateway before the session's encoder and matcher, shared by a module's tests."""
    process = GatewayProcess(encoder_address, matcher_address)
    try:
        yield process.address
    finally:
        code = process.stop()
    assert code == 0
