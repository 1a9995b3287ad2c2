"""Which roles get which of one person's data."""

from collections.abc import Callable
from pathlib import Path

import pytest

from facerec.client import AsyncMatcherClient, Encoding, Security
from facerec.errors import FacerecError, Reason
from tests.e2e.access.conftest import entry
from tests.e2e.matcher.requests import SPACE, vectors
from tests.fixtures.matcher import StartMatcher


async def test_only_the_role_admin_exports_vectors(
    start_matcher: StartMatcher, database_url: str, keys_file: Callable[..., Path]
) -> None:
    everything = "scores = true\nencodings = true"
    path = keys_file(
        entry("admin", "admin", ["admin"]),
        entry("desk", "desk", ["manage"]),
        entry("clerk", "clerk", ["manage", "enroll", "verify", "identify", "encode"], everything),
        entry("door", "door", ["verify", "identify", "enroll", "encode"], everything),
    )
    matcher = await start_matcher(database_url, keys_file=path)

    def client(key: str) -> AsyncMatcherClient:
        return AsyncMatcherClient(matcher.address, security=Security(api_key=key))

    vector = Encoding(vectors(1)[0], SPACE)
    async with client("admin") as admin, client("desk") as desk, client("clerk") as clerk:
        await admin.enroll("ann", vector)
        (theirs,) = (await admin.export_person("ann")).faces
        assert theirs.encoding is not None
        assert theirs.encoding.values.tolist() == vector.values.tolist()
        for manager in (desk, clerk):
            export = await manager.export_person("ann")
            assert [each.encoding for each in export.faces] == [None]
            assert export.faces[0].face == theirs.face
        callers = [event.caller for event in export.events if event.action == "EXPORT_PERSON"]
        assert callers == ["clerk", "desk", "admin"]
    async with client("door") as door:
        with pytest.raises(FacerecError) as caught:
            await door.export_person("ann")
    assert caught.value.reason is Reason.NOT_PERMITTED
