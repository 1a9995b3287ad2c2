"""How long after Postgres accepts connections each replica decides again, by either of its pools."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from facerec.matcher import v1
from tests.soak.matcher.faces import encoding

LONGEST_SECONDS = 120.0  # ends a soak whose replica never decides again
CALL_SECONDS = 60.0
TRANSIENT = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED}
PROBE = v1.Probe(encoding=encoding(1 << 40).to_message())


def retry_seconds(error: grpc.RpcError) -> float | None:
    """How long an error asks its caller to wait, if it does."""
    status = rpc_status.from_call(error)  # type: ignore[arg-type]
    for detail in status.details if status else ():
        retry = error_details_pb2.RetryInfo()
        if detail.Unpack(retry):
            return float(retry.retry_delay.ToNanoseconds() / 1e9)
    return None


def recovery_seconds(addresses: Sequence[str], collection_id: str, accepting: float) -> list[float]:
    """Call every replica until it answers; seconds since `accepting`, one a replica."""
    with ThreadPoolExecutor(len(addresses)) as pool:
        return list(pool.map(lambda address: _decides(address, collection_id) - accepting, addresses))


def _decides(address: str, collection_id: str) -> float:
    """The time at which a Verify, and an Identify by an exact scan apart, were both answered."""
    with grpc.insecure_channel(address) as channel:
        stub = v1.MatcherServiceStub(channel)
        verify = v1.VerifyRequest(collection_id=collection_id, person_id="nobody", probe=PROBE)
        identify = v1.IdentifyRequest(collection_id=collection_id, probes=[PROBE], exact_only=True)
        _until_answered(lambda: stub.Verify(verify, timeout=CALL_SECONDS))
        _until_answered(lambda: stub.Identify(identify, timeout=CALL_SECONDS))
    return time.monotonic()


def _until_answered(call: Callable[[], object]) -> None:
    began = time.monotonic()
    while True:
        try:
            call()
            return
        except grpc.RpcError as error:
            if (
                error.code() == grpc.StatusCode.NOT_FOUND
            ):  # the database answered that there is no such person
                return
            assert error.code() in TRANSIENT, error
            assert retry_seconds(error) is not None, error
            assert time.monotonic() - began < LONGEST_SECONDS, error
        time.sleep(0.01)
