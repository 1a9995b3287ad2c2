"""No call waits for a lock or a statement longer than its timeout."""

from typing import Any

import grpc
import pytest

from tests.fixtures.matcher import StartMatcher
from tests.fixtures.waiting import LIMIT_SECONDS
from tests.soak.matcher.calls import Answer, Line, every_rpc
from tests.soak.matcher.stack import connected

LOCK_ALL = (
    "LOCK TABLE facerec.collection, facerec.model, facerec.person, facerec.face, facerec.enroll_request"
)
SETTINGS = ("lock_timeout_seconds", "statement_timeout_seconds")
NEVER = 3600.0


@pytest.mark.parametrize("setting", SETTINGS)
async def test_every_rpc_is_refused_as_retryable_when_its_time_is_up(
    start_matcher: StartMatcher, database_url: str, setting: str
) -> None:
    matcher = await start_matcher(database_url, **(dict.fromkeys(SETTINGS, NEVER) | {setting: 0.1}))
    async with Line.open(matcher.address) as line, connected(database_url) as administrator:
        async with administrator.transaction():
            await administrator.execute(LOCK_ALL)
            answers = [await line.ask(request, LIMIT_SECONDS) for request in every_rpc("default", 0)]
        assert {answer.code for answer in answers} == {grpc.StatusCode.RESOURCE_EXHAUSTED}, answers
        assert all(answer.retry_after_seconds for answer in answers)
        after = [await answered(line, request) for request in every_rpc("other", 0)]
        assert all(answer.code == grpc.StatusCode.OK for answer in after), after


async def answered(line: Line, request: Any) -> Answer:
    """An answer, asked for again where a statement took longer than it may: the machine may be busy."""
    for _ in range(100):
        answer = await line.ask(request, LIMIT_SECONDS)
        if answer.code != grpc.StatusCode.RESOURCE_EXHAUSTED:
            break
    return answer
