"""Shares of a sample."""

import dataclasses
from typing import Final

import numpy as np
import numpy.typing as npt

Shares = npt.NDArray[np.float64]

Z_95: Final = 1.959963984540054
"""The normal distribution's quantile for 95 %, two-sided."""


def wilson(value: Shares, of: Shares, *, z: float = Z_95) -> tuple[Shares, Shares]:
    """Return the lower and upper ends of the intervals of shares `value` in samples of size `of`.

    By E. B. Wilson, Probable Inference, the Law of Succession, and Statistical Inference (JASA 22, 1927).
    Both are float64 of one shape, and so are the results. A share of 0 or 1 is itself an end of its interval.
    `z` is the normal distribution's two-sided quantile, by default for 95 %.
    """
    center = (value + z**2 / (2 * of)) / (1 + z**2 / of)
    half = z / (1 + z**2 / of) * np.sqrt(value * (1 - value) / of + z**2 / (4 * of**2))
    low = np.where(value > 0, np.clip(center - half, 0, 1), 0.0)
    high = np.where(value < 1, np.clip(center + half, 0, 1), 1.0)
    return low, high


@dataclasses.dataclass(frozen=True)
class Proportion:
    """A share of a sample with its 95 % interval, by `wilson`."""

    count: int
    of: int

    @property
    def value(self) -> float:
        """The share."""
        return self.count / self.of

    @property
    def interval(self) -> tuple[float, float]:
        """Its lower and upper end."""
        low, high = wilson(np.array(self.value), np.array(float(self.of)))
        return float(low), float(high)
