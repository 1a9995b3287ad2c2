"""What is looked over of a collection: an index's recall, persons who may be one."""

import dataclasses
from typing import Self

from facerec.client.scores import distance
from facerec.matcher import v1


@dataclasses.dataclass(frozen=True)
class Proportion:
    """A share of a sample, with its 95 % interval."""

    count: int
    value: float
    low: float
    high: float

    @classmethod
    def from_message(cls, message: v1.Proportion) -> Self:
        """Read the contract's message."""
        return cls(message.count, message.value, message.low, message.high)


@dataclasses.dataclass(frozen=True)
class Recall:
    """How searches by an index compare with exact ones; None where there was nothing to compare.

    `recall` is the index's alone, `far_recall` its recall of faces far from the centers that it goes by,
    `agreement` that of Identify's answers, `confirmed` the share of them that took an exact scan.
    """

    indexed: bool
    samples: int
    recall: Proportion | None
    agreement: Proportion | None
    confirmed: Proportion | None
    far_recall: Proportion | None

    @classmethod
    def from_message(cls, message: v1.MeasureRecallResponse) -> Self:
        """Read the contract's message."""
        return cls(
            message.indexed,
            message.samples,
            Proportion.from_message(message.recall) if message.HasField("recall") else None,
            Proportion.from_message(message.agreement) if message.HasField("agreement") else None,
            Proportion.from_message(message.confirmed) if message.HasField("confirmed") else None,
            Proportion.from_message(message.far_recall) if message.HasField("far_recall") else None,
        )


@dataclasses.dataclass(frozen=True)
class DuplicatePair:
    """Two persons who may be one, the earlier enrolled first, by their nearest faces.

    Without scores `distance` is None and the faces' ids are empty.
    """

    person_id_a: str
    person_id_b: str
    face_id_a: str
    face_id_b: str
    distance: float | None
    dismissed: bool

    @classmethod
    def from_message(cls, message: v1.DuplicatePair) -> Self:
        """Read the contract's message."""
        return cls(
            message.person_id_a,
            message.person_id_b,
            message.face_id_a,
            message.face_id_b,
            distance(message),
            message.dismissed,
        )
