"""Helpers for requests to a matcher."""

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any

import grpc
import grpc.aio
import numpy as np
import numpy.typing as npt
import pytest

from facerec.client.failures import from_rpc_error
from facerec.encoder.v1 import encoder_pb2
from facerec.errors import Reason
from facerec.matcher.v1 import matcher_pb2 as pb
from facerec.serving.middleware.status import CODES
from tests.fixtures.waiting import LIMIT_SECONDS

SPACE = "dlib-resnet-v1/small/150x0.25"
Vector = npt.NDArray[np.float32]


def vectors(count: int, seed: int = 0) -> Vector:
    """Vectors of the length of dlib's, float32 of shape (count, 128)."""
    drawn = np.random.default_rng(seed).normal(size=(count, 128))
    scaled: Vector = (1.42 * drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)
    return scaled


def encoding(vector: Vector, space: str = SPACE, fingerprint: str = "") -> pb.Probe:
    """A probe that is an encoding."""
    values = [float(value) for value in vector]
    return pb.Probe(encoding=encoder_pb2.Encoding(values=values, space=space, fingerprint=fingerprint))


def enroll(person_id: str, *probes: pb.Probe, **fields: object) -> pb.EnrollRequest:
    """An enrollment of faces."""
    items = [pb.EnrollItem(probe=probe) for probe in probes]
    return pb.EnrollRequest(person_id=person_id, items=items, **fields)  # type: ignore[arg-type]


@contextlib.contextmanager
def refused(reason: Reason, field: str = "", message: str = "") -> Iterator[None]:
    """The call inside fails for this reason, with its code, naming this field."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        yield
    error = from_rpc_error(caught.value, "the matcher")
    assert (error.reason, error.field) == (reason, field), error.message
    assert caught.value.code().value[0] == CODES[reason]
    assert message in error.message
    if reason in (Reason.OVERLOADED, Reason.STORE_UNAVAILABLE, Reason.ENCODER_UNAVAILABLE):
        assert error.retry_after_seconds is not None


async def retried(call: Any, request: Any, *expected: Reason) -> Any:
    """An answer, asked for again while the matcher says OVERLOADED; None for an expected refusal."""
    for _ in range(50):
        try:
            return await call(request, timeout=LIMIT_SECONDS)
        except grpc.aio.AioRpcError as error:
            failure = from_rpc_error(error, "the matcher")
            if failure.reason in expected:
                return None
            assert failure.reason is Reason.OVERLOADED, failure.message
            await asyncio.sleep(failure.retry_after_seconds or 0.1)
    raise AssertionError("always overloaded")
