"""No call waits for a lock, or for a statement, longer than it may: whichever call it is."""

import grpc
import pytest

from tests.fixtures.matcher import StartMatcher
from tests.soak.matcher.calls import Line, every_rpc
from tests.soak.matcher.stack import connected

LOCK_ALL = (
    "LOCK TABLE facerec.collection, facerec.model, facerec.person, facerec.face, facerec.enroll_request"
)
DELETION_SECONDS = 3.0  # it waits for so long in all, a moment at a time


@pytest.mark.parametrize("setting", ["lock_timeout_seconds", "statement_timeout_seconds"])
async def test_every_rpc_is_told_to_come_back_when_its_time_is_up(
    start_matcher: StartMatcher, database_url: str, setting: str
) -> None:
    matcher = await start_matcher(database_url, **{setting: 0.1})
    async with Line.open(matcher.address) as line, connected(database_url) as administrator:
        async with administrator.transaction():
            await administrator.execute(LOCK_ALL)
            answers = [await line.ask(request) for request in every_rpc("default", 0)]
        assert {answer.code for answer in answers} == {grpc.StatusCode.RESOURCE_EXHAUSTED}, answers
        assert all(answer.retry_after_seconds for answer in answers)
        *others, deletion = answers
        assert max(answer.seconds for answer in others) < 1
        assert deletion.seconds < DELETION_SECONDS + 1
        after = [await line.ask(request) for request in every_rpc("other", 0)]
        assert all(answer.code == grpc.StatusCode.OK for answer in after), after
