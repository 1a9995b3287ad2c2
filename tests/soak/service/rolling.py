"""Each replica replaced in turn under load: no call may fail, and no enrollment may be lost."""

import dataclasses
import functools
import time
from pathlib import Path

from tests.fixtures.waiting import wait_until
from tests.soak.service.load import Load, Seen, seen
from tests.soak.service.stack import Replica, Stack


@dataclasses.dataclass(frozen=True)
class Rolled:
    """What callers saw of it."""

    replaced: int
    enrolled: int
    lost: int
    seen: Seen

    @property
    def passed(self) -> bool:
        """Whether no call failed."""
        return not self.lost and not self.seen.failures and not self.seen.wrong


def roll(
    stack: Stack,
    photo: Path,
    *,
    times: int,
    calm_seconds: float = 1.0,
    pause_seconds: float = 0.02,
    until_called: bool = False,
) -> Rolled:
    """Replace every matcher and every encoder so many times.

    Between two there are `calm_seconds`, and between two calls of a caller `pause_seconds`. `until_called`,
    the next one also waits until callers have come back to the last: after a slow start they try again only
    now and then. It takes `--log-calls all`.
    """
    load = Load(stack.target, photo, pause_seconds=pause_seconds)
    stack.loop.run(load.start())
    began = time.monotonic()
    replaced = 0
    try:
        time.sleep(calm_seconds)
        for _ in range(times):
            for replica in (*stack.encoders, *stack.matchers):
                replica.replace()
                replaced += 1
                time.sleep(calm_seconds)
                if until_called and replica in stack.matchers:  # the others' callers stay where they are
                    wait_until(functools.partial(_called, replica))
    finally:
        stack.loop.run(load.stop())
    lost = stack.loop.run(load.lost())
    return Rolled(replaced, len(load.enrolled), len(lost), seen(load.answers, began, time.monotonic()))


def _called(replica: Replica) -> bool:
    """Whether a replica has answered a call since it was started."""
    return any('"event": "call"' in line for line in tuple(replica.process.lines))
