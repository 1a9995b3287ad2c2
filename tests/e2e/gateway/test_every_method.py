"""Over HTTP every method answers what it answers over gRPC, to callers of every role."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from facerec.client.channel import COLLECTION_SERVICE, MATCHER_SERVICE
from facerec.gateway.methods import METHODS
from tests.e2e.access import paired_collections as paired
from tests.e2e.access.conftest import entry
from tests.e2e.access.every_rpc import Recorder
from tests.e2e.gateway.connect_stub import ConnectStub
from tests.fixtures.gateway import StartGateway
from tests.fixtures.matcher import RunningMatcher, StartMatcher
from tests.fixtures.vector_encoder import vector_encoder

KEYS = ("blind", "admin")
SERVICES = (MATCHER_SERVICE, COLLECTION_SERVICE)
OFFERED = {method.name for method in METHODS.values() if method.service in SERVICES}
CLUSTERS = [
    *(paired.CLUSTERS.index((paired.PAIRS[0], kind)) for kind in range(3)),
    *(paired.CLUSTERS.index((pair, paired.ALONE)) for pair in (paired.PAIRS[3], paired.PAIRS[4])),
]
"""A match of each kind, one that Verify alone finds, and none."""
# No two answers are equal, nor two uptimes; of equally near faces the first by its random id is listed.
SAMPLING = ("Calibrate", "MeasureRecall", "ListAuditEvents", "ListInconsistentFaces", "GetStatus")


class HttpRecorder(Recorder):
    """Records the answers that come through a gateway, in JSON or protobuf."""

    def __init__(self, gateway: str, codec: str, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._stubs = [ConnectStub(gateway, service, codec) for service in SERVICES]

    def _stub(self, method: str) -> Any:
        return next(getattr(each, method) for each in self._stubs if hasattr(each, method))


@pytest.fixture
async def locked(
    start_matcher: StartMatcher, database_url: str, tmp_path: Path
) -> AsyncIterator[tuple[RunningMatcher, str]]:
    """A matcher with keys, and its encoder's address."""
    path = tmp_path / "keys.toml"
    roles = ("verify", "identify", "enroll", "manage")
    path.write_text("\n".join([entry("admin", "admin", ["admin"]), entry("blind", "blind", roles)]))
    async with vector_encoder() as address:
        yield await start_matcher(database_url, keys_file=path, encoder_address=address), address


async def test_every_method_answers_as_over_grpc(
    locked: tuple[RunningMatcher, str], administrator: asyncpg.Connection, start_gateway: StartGateway
) -> None:
    matcher, encoder = locked
    spares = [f"{key}-{number}" for key in KEYS for number in (1, 2)]
    for name in ("grpc", "json", "proto"):
        await paired.build(matcher, administrator, name, 0, spares, background=False)
    gateway = start_gateway(encoder, matcher.address).address
    for key in KEYS:
        direct = Recorder(matcher, key, "grpc", CLUSTERS)
        await direct.everything()
        assert {method for method, _ in direct.answers} == OFFERED
        for codec in ("json", "proto"):
            forwarded = HttpRecorder(gateway, codec, matcher, key, codec, CLUSTERS)
            await forwarded.everything()
            for expected, found in zip(direct.answers, forwarded.answers, strict=True):
                assert found[0] == expected[0]
                if found[0] not in SAMPLING or isinstance(expected[1], tuple):
                    assert found[1] == expected[1]
