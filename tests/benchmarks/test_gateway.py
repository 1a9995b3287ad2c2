"""The benchmark of the gateway, in a short form that asserts answers and no times."""

import numpy as np
import psutil
import pytest

from facerec.client import Encoding, MatcherClient
from facerec.contract import DEFAULT_SPACE
from tests.benchmarks import gateway as bench
from tests.benchmarks import gateway_memory
from tests.fixtures.gateway import GatewayProcess


async def test_every_way_to_call_is_measured(
    encoder_address: str, matcher_address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    gateway = GatewayProcess(encoder_address, matcher_address)
    try:
        with MatcherClient(matcher_address) as matcher:
            matcher.enroll(bench.PERSON, Encoding(np.full(128, 0.1, np.float32), DEFAULT_SPACE))
        process = psutil.Process(gateway.process.pid)
        await bench.compare(matcher_address, gateway.address, process, 0.02)
        await bench.remember(gateway.address, process, 0.001, steps=1)
        with MatcherClient(matcher_address) as matcher:
            matcher.delete_person(bench.PERSON)
    finally:
        gateway.stop()
    printed = capsys.readouterr().out
    assert [line.split("p50")[0].strip() for line in printed.splitlines()[:3]] == [
        "gRPC",
        "gateway, protobuf",
        "gateway, JSON",
    ]
    assert "peak" in printed


def test_memory_is_measured_while_the_limit_of_bytes_is_used_up() -> None:
    load = gateway_memory.loads(1_000_000)["form"]
    with gateway_memory.gateway(1_000_000, 2_000_000, 1) as process:
        answered = gateway_memory.statuses(process.address, load)
        assert gateway_memory.peak_bytes(process) > 0
    assert set(answered) > {429}, "some are refused"
    assert set(answered) <= {429, 503, 504}, "and the others held"
