"""A caller of any role reads from both services what its key may do there, and nothing secret."""

import datetime
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc.aio
import pytest

from facerec.client import AsyncCollectionClient, Caller, Security
from facerec.encoder import v1 as encoder_pb
from facerec.matcher.v1 import caller_pb2
from facerec.serving.auth import files
from facerec.serving.auth.permissions import TRIES_WITH_ENCODINGS, TRIES_WITH_IMAGES
from tests.e2e.access.conftest import bearer, entry
from tests.fixtures.matcher import RunningMatcher, StartMatcher
from tests.fixtures.waiting import until

WriteKeys = Callable[..., Path]
ALL = ("encode", "verify", "identify", "enroll", "manage", "admin")
DOOR = """collections = ["staff", "guests"]
labels = { site = ["bonn", "berlin"], staff = ["yes"] }
expires = 2127-06-30T00:00:00Z
probes_per_second = 20
"""
MANAGER = "encodings = true\nscores = true\nfailed_tries_per_day = 9.5"


async def described(matcher: RunningMatcher, key: str = "") -> Caller:
    security = Security(api_key=key)
    async with AsyncCollectionClient(matcher.address, security=security) as client:
        return await client.get_caller()


async def test_a_caller_reads_its_limits_at_each_service_and_no_hash(
    start_matcher: StartMatcher, start_encoder: Callable[..., Any], database_url: str, keys_file: WriteKeys
) -> None:
    path = keys_file(
        entry("door", "d", ["identify", "verify"], DOOR),
        entry("writer", "w", ["enroll"], "encodings = true"),
        entry("manager", "m", ["manage"], MANAGER),
        entry("admin", "a", ["admin"]),
    )
    matcher = await start_matcher(database_url, keys_file=path)
    door = await described(matcher, "d")
    assert door == Caller(
        keys_required=True,
        name="door",
        roles=("verify", "identify"),
        collection_ids=("guests", "staff"),
        labels={"site": ("bonn", "berlin"), "staff": ("yes",)},
        scores=False,
        encodings=False,
        expire_time=datetime.datetime(2127, 6, 30, tzinfo=datetime.UTC),
        probes_per_second=20,
        failed_tries_per_day=TRIES_WITH_IMAGES,
    )
    writer, manager, admin = [await described(matcher, key) for key in "wma"]
    assert (writer.encodings, writer.scores) == (True, False)
    assert (writer.failed_tries_per_day, writer.probes_per_second) == (TRIES_WITH_ENCODINGS, None)
    assert (manager.encodings, manager.scores, manager.failed_tries_per_day) == (True, True, 9.5)
    assert (admin.roles, admin.scores, admin.encodings) == (ALL, True, True)
    assert (admin.failed_tries_per_day, admin.expire_time) == (None, None)
    answer = await matcher.collections.GetCaller(caller_pb2.GetCallerRequest(), metadata=bearer("d"))
    digest = hashlib.sha256(b"d")
    assert digest.digest() not in answer.SerializeToString()
    assert digest.hexdigest() not in str(answer)
    encoder = await start_encoder(keys_file=path)  # it loads no model, and says who calls all the same
    async with grpc.aio.insecure_channel(encoder.address) as channel:
        stub: Any = encoder_pb.EncoderServiceStub(channel)
        answer = await stub.GetCaller(encoder_pb.GetCallerRequest(), metadata=bearer("d"))
    assert Caller.from_message(answer) == door


async def test_a_changed_entry_is_described_without_a_restart(
    start_matcher: StartMatcher, database_url: str, keys_file: WriteKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "POLL_SECONDS", 0.05)
    matcher = await start_matcher(database_url, keys_file=keys_file(entry("door", "d", ["verify"])))
    assert (await described(matcher, "d")).roles == ("verify",)
    keys_file(entry("gate", "d", ["identify"], "scores = true"))

    async def renamed() -> bool:
        return (await described(matcher, "d")).name == "gate"

    await until(renamed)
    gate = await described(matcher, "d")
    assert (gate.roles, gate.scores, gate.failed_tries_per_day) == (("identify",), True, None)


async def test_where_no_keys_are_required_everybody_may_do_everything(matcher: RunningMatcher) -> None:
    anybody = await described(matcher)
    assert anybody == await described(matcher, "any key at all")
    assert (anybody.keys_required, anybody.name, anybody.roles) == (False, "", ALL)
    assert (anybody.scores, anybody.encodings, anybody.collection_ids, anybody.labels) == (True, True, (), {})
    assert (anybody.expire_time, anybody.probes_per_second, anybody.failed_tries_per_day) == (None,) * 3
