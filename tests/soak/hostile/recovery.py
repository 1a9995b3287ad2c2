"""Recovering a stored vector from yes and no alone: where the answer changes, its distance is the threshold.

An attacker begins with a vector that matches and looks for points of the sphere around the stored one. A
point found by bisection takes half a dozen failed tries, one found by a walk from inside takes one. One found
by walking along many directions at once takes one too and tells more: the first to fail is the one that leads
farthest away. It takes a match along each of the others, which the service counts as a part of a try.
"""

import dataclasses
import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from matcher_service.identification.failed_tries import MATCH_TRIES

Vector = npt.NDArray[np.float64]
Matches = Callable[[Vector], bool]
"""Whether a vector matches. Raises Exhausted."""

DIMENSIONS = 128
WALKED = (1, 5, 10, 20, 50, 100, 1000)


class Exhausted(Exception):
    """The attacker is answered no more."""


@dataclasses.dataclass
class Knowledge:
    """What an attacker knows: a vector that matches, the threshold, and points where the answer changes.

    `distance` is how far the stored vector is thought to be; where that is `certain` it is no more asked.
    """

    start: Vector
    threshold: float
    distance: float
    certain: bool = False
    points: list[Vector] = dataclasses.field(default_factory=list)

    def stored(self) -> Vector:
        """The vector that explains the points and is the nearest to the start.

        With b a point and d the stored vector, both from the start, |b - d| is the threshold: linear in d and
        in the square of its length. The least change of both that satisfies every point is the estimate.
        """
        if not self.points:
            return self.start
        offsets = np.array(self.points) - self.start
        lengths = np.linalg.norm(offsets, axis=1)
        length = np.full((len(offsets), 0 if self.certain else 1), -0.5)
        rows = np.column_stack([offsets, length]) / lengths[:, None]
        along = (lengths**2 + self.distance**2 - self.threshold**2) / (2 * lengths)
        solved: Vector = np.linalg.lstsq(rows, along, rcond=None)[0]
        return self.start + solved[:DIMENSIONS]


def bisect(matches: Matches, start: Vector, direction: Vector, *, steps: int, most: float) -> Vector:
    """A point where the answer changes, between the start and `most` from it."""
    low, high = 0.0, most
    for _ in range(steps):
        middle = (low + high) / 2
        low, high = (middle, high) if matches(start + middle * direction) else (low, middle)
    return start + (low + high) / 2 * direction


def walk(matches: Matches, start: Vector, direction: Vector, *, least: float, step: float) -> Vector:
    """Likewise, step by step from `least` outwards: one failed try."""
    radius = least
    while matches(start + radius * direction):
        radius += step
    return start + (radius - step / 2) * direction


def directions(count: int, generator: np.random.Generator) -> Vector:
    """Directions by chance, of shape (count, 128)."""
    drawn = generator.normal(size=(count, DIMENSIONS))
    found: Vector = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
    return found


def walk_many(
    stored: Vector, knowledge: Knowledge, *, count: int, step: float, generator: np.random.Generator
) -> None:
    """Walk along `count` directions at once, a step along each in turn, to where one first fails.

    Worked out and not asked for: a try of this kind takes at least a match a direction.
    """
    base = knowledge.stored()
    found = directions(count, generator)
    if knowledge.points:  # none along what is known
        known = np.linalg.qr((np.array(knowledge.points) - knowledge.start).T)[0]
        found -= found @ known @ known.T
        found /= np.linalg.norm(found, axis=1, keepdims=True)
    along = found @ (stored - base)
    left = float(np.sum((stored - base) ** 2))
    radii = along + np.sqrt(np.maximum(0, knowledge.threshold**2 - left + along**2))
    first = int(np.argmin(radii))
    knowledge.points.append(base + (radii[first] + generator.uniform(-step, step) / 2) * found[first])


def points_for(tries: float, walked: int) -> int:
    """How many points so many tries pay for, where `walked` directions are walked for each.

    A point takes a failed try, and at least one match along each of the other directions.
    """
    return int(tries / (1 + (walked - 1) * MATCH_TRIES))


def expected_distance(start: float, points: int, walked: int = 1) -> float:
    """How far an attacker's estimate is from the stored vector after so many points, by the best way we know.

    Each tells one component of the offset, of 128: along one direction by chance it holds 1 / m of the
    square that is left in m of them, and along the most telling of `walked` directions as much more as the
    mean square of the largest of so many normal deviates. Where one is walked the first point tells how long
    the offset is and nothing else; who walks many is taken to know that.
    """
    square = _largest_square(walked)
    left = 1.0
    for index in range(points - (walked == 1)):
        left *= max(0.0, 1 - square / max(square, DIMENSIONS - index))
    return start * math.sqrt(left)


def nearest_distance(start: float, tries: float) -> float:
    """How near so many tries bring an attacker who walks the best number of directions for each point."""
    return min(expected_distance(start, points_for(tries, walked), walked) for walked in WALKED)


def _largest_square(count: int) -> float:
    """The mean square of the largest of so many normal deviates: the integral of x^2 dF(x)^count."""
    places = np.linspace(-8, 8, 16001)
    below = np.array([math.erfc(-index / math.sqrt(2)) / 2 for index in places]) ** count
    return float(np.sum(((places[1:] + places[:-1]) / 2) ** 2 * np.diff(below)))
