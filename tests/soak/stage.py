"""A Postgres of its own whose files can be read, and a matcher over it in this process."""

import asyncio
from pathlib import Path
from typing import Any

import grpc.aio

from facerec.local.postgres import EmbeddedPostgres
from facerec.matcher.v1 import matcher_pb2_grpc
from tests.fixtures.clusters import open_migrated
from tests.fixtures.matcher import RunningMatcher, matcher_service


async def start(folder: Path, **options: Any) -> tuple[EmbeddedPostgres, RunningMatcher, grpc.aio.Channel]:
    """Start both, migrated, the data in a folder of `folder`; `options` are the matcher's."""
    opened = await asyncio.to_thread(open_migrated, folder / "data")
    service = matcher_service(opened.url(), **options)
    await service.start()
    await service.checked.wait()
    channel = grpc.aio.insecure_channel(service.server.address)
    stubs = matcher_pb2_grpc.MatcherServiceStub(channel), matcher_pb2_grpc.CollectionServiceStub(channel)
    return opened, RunningMatcher(service, *stubs), channel


async def stop(opened: EmbeddedPostgres, matcher: RunningMatcher, channel: grpc.aio.Channel) -> None:
    """End both."""
    await channel.close()
    await matcher.service.stop()
    await asyncio.to_thread(opened.stop)
