"""Error rates of searches."""

import dataclasses
from typing import Self

from facerec.client.results.rates import Rate
from facerec.matcher import v1


@dataclasses.dataclass(frozen=True)
class SearchRates:
    """A threshold for `identify`, and the error rates of searches of the whole collection at it.

    Attributes:
        target_fpir: The largest false positive identification rate of the threshold, 0.003 or 0.001.
        threshold: The largest such Euclidean distance, in steps of 0.005; None where there are too few
            probes to measure it.
        fpir: The false positive identification rate (FPIR): the share of unenrolled probes with any face
            within the threshold, measured with each drawn person as a probe of all others. None without a
            threshold.
        fnir: The false negative identification rate (FNIR): the share of probes whose nearest other face of
            the same person is farther than the threshold, whatever its rank. None without a threshold, or
            where too few persons have two faces.
        needs: Where `threshold` is None, what would give one; "" otherwise.
    """

    target_fpir: float
    threshold: float | None
    fpir: Rate | None
    fnir: Rate | None
    needs: str

    @classmethod
    def from_message(cls, message: v1.SearchRates) -> Self:
        """Read the contract's message."""
        return cls(
            message.target_fpir,
            message.threshold if message.HasField("threshold") else None,
            Rate.of(message, "fpir"),
            Rate.of(message, "fnir"),
            message.needs,
        )
