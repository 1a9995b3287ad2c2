"""A reason's HTTP status is that of Connect's table for its code; errors are written as Connect has them."""

import json

import pytest
from connectrpc._protocol import ConnectWireError
from connectrpc.code import Code
from google.rpc import code_pb2, status_pb2

from facerec.errors import FacerecError, Reason
from facerec.gateway import exchange, failures
from facerec.gateway.exchange import Exchange
from facerec.serving.fairness.byte_budget import FairByteBudget
from facerec.serving.middleware import status


@pytest.mark.parametrize("reason", Reason)
def test_a_reason_has_the_status_and_the_body_of_connect(reason: Reason) -> None:
    exchange.begin(Exchange([], ("127.0.0.1", 1), FairByteBudget(1), FairByteBudget(1)))
    error = FacerecError("why", reason=reason, field="probe.image", retry_after_seconds=1.5)
    failed = failures.fail(error)
    expected = ConnectWireError.from_exception(failed)
    assert failures.HTTP_STATUSES[failed.status.code] == expected.to_http_status().code
    assert json.loads(failures.to_json(failed.status)) == expected.to_dict()
    assert exchange.current().code == code_pb2.Code.Name(status.CODES[reason])
    assert failures.retry_after(exchange.current().retry_after_seconds or 0) == b"2"


def test_every_code_but_ok_has_a_status() -> None:
    assert set(failures.HTTP_STATUSES) == set(code_pb2.Code.values()) - {code_pb2.OK}
    for code, http_status in failures.HTTP_STATUSES.items():
        failed = failures.Failed(status_pb2.Status(code=code))
        assert ConnectWireError.from_exception(failed).to_http_status().code == http_status
    assert len(Code) == len(failures.HTTP_STATUSES)
