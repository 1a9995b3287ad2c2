"""Fixtures with stubs of the encoder."""

from collections.abc import AsyncIterator

import grpc.aio
import pytest

import facerec.encoder.v1 as pb
from tests.e2e.encoder.wire import CHANNEL_OPTIONS, EncoderStub


@pytest.fixture
async def encoder(encoder_address: str) -> AsyncIterator[EncoderStub]:
    """A stub of the encoder that serves."""
    async with grpc.aio.insecure_channel(encoder_address, CHANNEL_OPTIONS) as channel:
        yield pb.EncoderServiceStub(channel)


@pytest.fixture
async def large_encoder(large_landmarks_address: str) -> AsyncIterator[EncoderStub]:
    """A stub of an encoder with the 68-point model."""
    async with grpc.aio.insecure_channel(large_landmarks_address, CHANNEL_OPTIONS) as channel:
        yield pb.EncoderServiceStub(channel)
