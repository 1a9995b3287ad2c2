"""Each replica replaced in turn under load: no call may fail, no enrolment be lost."""

import dataclasses
import time
from pathlib import Path

from tests.soak.service.load import Load, Seen, seen
from tests.soak.service.stack import Stack


@dataclasses.dataclass(frozen=True)
class Rolled:
    """What callers saw of it."""

    replaced: int
    enrolled: int
    lost: int
    seen: Seen

    @property
    def fine(self) -> bool:
        """Whether nobody noticed."""
        return not self.lost and not self.seen.failures and not self.seen.wrong


def roll(stack: Stack, photo: Path, *, times: int, calm_seconds: float = 1.0) -> Rolled:
    """Replace every matcher and every encoder so many times."""
    load = Load(stack.target, photo)
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
    finally:
        stack.loop.run(load.stop())
    lost = stack.loop.run(load.lost())
    return Rolled(replaced, len(load.enrolled), len(lost), seen(load.answers, began, time.monotonic()))
