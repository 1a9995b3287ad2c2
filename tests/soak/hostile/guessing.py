"""How well a distance can be guessed from what answers hold: the best single split on any field."""

import dataclasses
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from google.protobuf.message import Message

Features = dict[str, Any]


def features(message: Message, target: str, path: str = "") -> Features:
    """Every field of an answer: numbers as they are, ids as the target's, another's or just there."""
    found: Features = {}
    for field, value in message.ListFields():
        name = f"{path}.{field.name}".lstrip(".")
        values = list(value) if field.is_repeated else [value]
        if field.is_repeated:
            found[f"{name}.count"] = len(values)
        for index, each in enumerate(values[:10]):
            here = f"{name}[{index}]" if field.is_repeated else name
            found |= _leaf(each, target, here)
    return found


def _leaf(value: Any, target: str, name: str) -> Features:
    if isinstance(value, Message):
        return {name: True, **features(value, target, name)}
    if isinstance(value, str):
        if name.endswith("person_id"):
            return {name: "target" if value == target else "another"}
        return {name: bool(value)}
    return {} if name.endswith(("seconds", "nanos")) else {name: value}


@dataclasses.dataclass(frozen=True)
class Guess:
    """The field that best predicts whether a distance is above the median of its class.

    `accuracy` is the share of distances predicted right (0.5 is chance), `bits` the mutual information,
    `calls` how many answers the class had.
    """

    field: str
    accuracy: float
    bits: float
    calls: int

    @property
    def is_chance(self) -> bool:
        """Whether it is within three standard deviations of a coin's accuracy."""
        return self.accuracy <= 0.5 + 3 * math.sqrt(0.25 / self.calls)


def best_guess(answers: Sequence[tuple[float, Features]]) -> Guess:
    """The best split on any field, among answers about distances of one side of a threshold."""
    distances = np.array([distance for distance, _ in answers])
    far = distances > np.median(distances)
    names = sorted({name for _, each in answers for name in each})
    best = Guess("no field", max(far.mean(), 1 - far.mean()), 0.0, len(answers))
    for name in names:
        values = [each.get(name) for _, each in answers]
        for side in _splits(values):
            right = float((side == far).mean())
            right = max(right, 1 - right)
            if right > best.accuracy:
                best = Guess(name, right, _information(side, far), len(answers))
    return best


def _splits(values: list[Any]) -> Iterator[Any]:
    """A value against all others, and for numbers those up to some value against the larger ones."""
    kinds = list(dict.fromkeys(values))
    if len(kinds) == 1:
        return
    if all(isinstance(value, int | float) for value in values):
        numbers = np.array(values, float)
        for bound in np.unique(np.quantile(numbers, np.linspace(0, 1, 65))):
            yield numbers > bound
    else:
        for kind in kinds[:64]:
            yield np.array([value == kind for value in values])


def _information(a: Any, b: Any) -> float:
    """The mutual information of two columns of truth values. Unit: bits."""
    total = 0.0
    for x in (False, True):
        for y in (False, True):
            both = float(((a == x) & (b == y)).mean())
            if both:
                total += both * math.log2(both / (float((a == x).mean()) * float((b == y).mean())))
    return total
