"""Measures error rates by group: of the people with each value of a label."""

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from matcher_service.calibration.drawing import GENUINE_PERSONS, Group, draw, measure_genuine
from matcher_service.calibration.error_rates import (
    EVENTS,
    MAX_PERSONS,
    MIN_PERSONS,
    Point,
    Sample,
    needed_pairs,
    needed_persons,
)
from matcher_service.calibration.group_pairs import GroupPairCounter
from matcher_service.calibration.group_rates import GroupComparison, GroupSample, compare
from matcher_service.calibration.impostors import ROWS_A_BLOCK
from matcher_service.calibration.support import TARGET_FMR, Target, round_up
from matcher_service.domain.errors import CalibrationUnsupported
from matcher_service.postgres.session import Session

MAX_GROUPS: Final = 16


async def count_groups(session: Session, label: str) -> dict[Group, int]:
    """The groups of a label, the largest first, with how many people are in each.

    Raises CalibrationUnsupported if nobody has the label, or if it has too many values.
    """
    rows = await session.rows("count_groups", group_label=label, max_groups=MAX_GROUPS + 1)
    sizes = {Group(label, row["value"]): row["persons"] for row in rows}
    if len(sizes) > MAX_GROUPS:
        raise CalibrationUnsupported(
            f"the label has more than {MAX_GROUPS} values, people without it included: choose one with fewer",
            field="group_label",
        )
    if all(group.value is None for group in sizes):
        raise CalibrationUnsupported("nobody with a face has the label", field="group_label")
    return sizes


async def measure_groups(
    session: Session,
    sizes: Mapping[Group, int],
    target: Target,
    threshold: float,
    wait: Callable[[], Awaitable[None]],
) -> GroupComparison:
    """Measure each of the groups that `count_groups` found on people of its own, at a threshold of the curve.

    `target.persons` people are drawn in all, as many of each group as there are or as its share is. `wait` is
    called before each block of pairs.
    """
    drawn = [
        await draw(session, share, group)
        for group, share in zip(sizes, shares(list(sizes.values()), target.persons), strict=True)
    ]
    genuine_persons = min(target.persons, GENUINE_PERSONS // len(sizes))
    counter = GroupPairCounter([each.vectors for each in drawn], threshold)
    samples = []
    for number, (group, persons) in enumerate(sizes.items()):
        for first in range(0, len(drawn[number].vectors), ROWS_A_BLOCK):
            await wait()
            await asyncio.to_thread(counter.count, number, first, ROWS_A_BLOCK)
        await wait()
        genuine = await measure_genuine(session, genuine_persons, group)
        needs, needed = _needs(persons, len(drawn[number].vectors), list(sizes.values()), target)
        sample = Sample(genuine, counter.within[number])
        samples.append(GroupSample(group.value, persons, sample, counter.near_of(number), needs, needed))
    return await asyncio.to_thread(compare, samples, threshold=threshold, target_fmr=target.fmr)


def shares(sizes: Sequence[int], total: int) -> list[int]:
    """How many to draw of each group: all of the smallest ones, and equally many of the others."""
    found, left = [0] * len(sizes), total
    for taken, number in enumerate(sorted(range(len(sizes)), key=sizes.__getitem__)):
        found[number] = min(sizes[number], left // (len(sizes) - taken))
        left -= found[number]
    return found


def evidence(found: GroupComparison) -> dict[str, Any]:
    """What is kept of a comparison: the rates of groups that have any.

    The label and its values are left out: they are attributes of people.
    """
    return {
        "one_threshold": found.one_threshold.value,
        "groups": [
            {
                "persons": each.measured.sample.impostor.persons,
                "fmr": dataclasses.asdict(each.fmr),
                "fnmr": dataclasses.asdict(each.fnmr) if each.fnmr else None,
                "threshold": _threshold(each.own),
            }
            for each in found.groups
            if each.fmr
        ],
    }


def _needs(persons: int, compared: int, sizes: Sequence[int], target: Target) -> tuple[str, int]:
    """What it takes to measure a group of so many persons if so many were compared, or "" if they suffice.

    And how many persons a group must have.
    """
    pairs = needed_pairs(target.fmr)
    needed = max(MIN_PERSONS, needed_persons(pairs))
    if compared >= needed:
        return "", needed
    have = compared * (compared - 1) // 2
    advice = []
    larger = round_up(EVENTS / max(1, have))
    if larger <= TARGET_FMR[1] and compared >= MIN_PERSONS:
        advice.append(f"ask for a target_fmr of {larger:g} or more")
    drawn = sum(min(size, needed) for size in sizes)
    if persons < needed:
        advice.append(f"enroll {needed - persons} more people of the group")
    elif drawn <= MAX_PERSONS:
        advice.append(f"set max_persons to {max(drawn, target.persons)}")
    return (
        f"a false match rate of {target.fmr:g} within the group requires {pairs} pairs of different persons "
        f"({needed} persons); {have} pairs ({compared} persons) were compared: {' or '.join(advice)}",
        needed,
    )


def _threshold(point: Point | None) -> float | None:
    return point.threshold if point else None
