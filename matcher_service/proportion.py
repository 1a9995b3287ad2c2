"""Shares of a sample."""

import dataclasses
import math

from matcher_service.calibration import Z


@dataclasses.dataclass(frozen=True)
class Proportion:
    """A share of a sample with its 95 % interval, Wilson's (1927)."""

    count: int
    of: int

    @property
    def value(self) -> float:
        """The share."""
        return self.count / self.of

    @property
    def interval(self) -> tuple[float, float]:
        """Its lower and upper end."""
        center = (self.value + Z**2 / (2 * self.of)) / (1 + Z**2 / self.of)
        spread = self.value * (1 - self.value) / self.of + Z**2 / (4 * self.of**2)
        half = Z / (1 + Z**2 / self.of) * math.sqrt(spread)
        return (center - half if self.count else 0.0), (center + half if self.count < self.of else 1.0)
