"""Error rates of groups of people, by the values of a label."""

import dataclasses
from typing import Self

from facerec.client.results.rates import Rate
from facerec.matcher import v1


@dataclasses.dataclass(frozen=True)
class GroupRates:
    """The error rates of the people with one value of a label, at the threshold `Calibration.verify`.

    Attributes:
        value: The label's value; None: people without the label.
        persons: How many people of the collection are in the group.
        impostor_persons: How many of them were compared with each other.
        impostor_pairs: How many pairs of faces of different persons of the group.
        genuine_persons: How many persons of the group with two faces or more were measured, 4,000 at most
            over all groups.
        genuine_pairs: How many pairs of faces of one person.
        fmr: The false match rate among the persons of the group; None where they are too few.
        fnmr: The false non-match rate; None without `fmr`, or where too few persons have two faces.
        exceeds_target: Whether `fmr` is more than `target_fmr`. If no group's is, this is said of one or
            more in at most 5 of 100 calibrations.
        own_threshold: The largest threshold whose false match rate within the group is at most `target_fmr`;
            None where there is none, or without `fmr`.
        own_fnmr: The false non-match rate at `own_threshold`, or None as `fnmr`.
        needs: Where `fmr` is None, what would give it; "" otherwise.
        needed_persons: How many persons of a group `target_fmr` requires.
    """

    value: str | None
    persons: int
    impostor_persons: int
    impostor_pairs: int
    genuine_persons: int
    genuine_pairs: int
    fmr: Rate | None
    fnmr: Rate | None
    exceeds_target: bool
    own_threshold: float | None
    own_fnmr: Rate | None
    needs: str
    needed_persons: int

    @classmethod
    def from_message(cls, message: v1.GroupRates) -> Self:
        """Read the contract's message."""
        return cls(
            value=message.value if message.HasField("value") else None,
            persons=message.persons,
            impostor_persons=message.impostor_persons,
            impostor_pairs=message.impostor_pairs,
            genuine_persons=message.genuine_persons,
            genuine_pairs=message.genuine_pairs,
            fmr=Rate.of(message, "fmr"),
            fnmr=Rate.of(message, "fnmr"),
            exceeds_target=message.exceeds_target,
            own_threshold=message.own_threshold if message.HasField("own_threshold") else None,
            own_fnmr=Rate.of(message, "own_fnmr"),
            needs=message.needs,
            needed_persons=message.needed_persons,
        )


@dataclasses.dataclass(frozen=True)
class GroupPairRates:
    """The false match rate between two groups, and whether the groups' own rates differ.

    If all groups are equal, one or more pairs are said to differ in at most 5 of 100 calibrations.

    Attributes:
        value_a: The label's value of one group; None: people without the label.
        value_b: That of the other.
        fmr: The false match rate of pairs of a person of either group; None where these are too few.
        fmr_differs: Whether the false match rates within the two groups differ; False: no difference was
            found. None where either is unknown.
        fnmr_differs: The same of their false non-match rates.
    """

    value_a: str | None
    value_b: str | None
    fmr: Rate | None
    fmr_differs: bool | None
    fnmr_differs: bool | None

    @classmethod
    def from_message(cls, message: v1.GroupPairRates) -> Self:
        """Read the contract's message."""
        return cls(
            message.value_a if message.HasField("value_a") else None,
            message.value_b if message.HasField("value_b") else None,
            Rate.of(message, "fmr"),
            message.fmr_differs if message.HasField("fmr_differs") else None,
            message.fnmr_differs if message.HasField("fnmr_differs") else None,
        )


def one_threshold(message: v1.Calibration) -> str:
    """Read `one_threshold_serves`: "serves", "exceeded", "undecided", or "" for no groups."""
    name = v1.OneThreshold.Name(message.one_threshold_serves).removeprefix("ONE_THRESHOLD_")
    return "" if name == "UNSPECIFIED" else name.lower()
