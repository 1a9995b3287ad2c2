"""The contract's list of error reasons, the services' and the documents' are one."""

from google.rpc import code_pb2

import facerec.v1 as pb
from facerec.errors import Reason
from facerec.serving.middleware.status import CODES
from tests.contract import comments
from tests.fixtures.process import ROOT

OF_THE_CLIENT = {Reason.UNREACHABLE, Reason.DEADLINE_EXCEEDED}
SENT = {str(reason) for reason in Reason if reason not in OF_THE_CLIENT}


def test_the_contract_lists_every_reason_that_is_sent() -> None:
    assert set(pb.ErrorReason.keys()) == SENT | {"ERROR_REASON_UNSPECIFIED"}


def test_the_documents_explain_every_reason() -> None:
    page = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    assert all(f"`{reason}`" in page for reason in Reason)


def test_every_reason_says_its_status_code() -> None:
    stated = {each.name: each.comment for each in comments.read() if ".ErrorReason." in each.full_name}
    for reason in SENT:
        assert code_pb2.Code.Name(CODES[Reason(reason)]) in stated[reason], reason
