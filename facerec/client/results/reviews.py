"""Reviews of a collection: the recall of its index, likely duplicate pairs, and inconsistent faces."""

import dataclasses
from typing import Any, Self

from facerec.client.results.distances import distance
from facerec.matcher import v1


@dataclasses.dataclass(frozen=True)
class Proportion:
    """A share of a sample, with its 95 % interval (Wilson's).

    Attributes:
        count: How many of the sample.
        value: The share, 0 to 1.
        low: The lower end of the interval.
        high: The upper end of the interval.
    """

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
    """The answer of `measure_recall`: how searches by the index compare with exact ones.

    A share is None where there was nothing to compare.

    Attributes:
        indexed: Whether the collection is searched by an index. Where it is not, every answer is exact, and
            nothing else is set.
        samples: How many searches were compared, half of them for faces far from their person's centers,
            over which the index is built. Fewer than asked for where the deadline came near or there are
            fewer persons.
        recall: The share of searches for which the index alone found the nearest person, of those for faces
            drawn at random for which an exact scan found anybody.
        agreement: The share of searches that `identify` answers as an exact scan does.
        confirmed: The share of searches for which `identify` ran an exact scan.
        far_recall: As `recall`, of the searches for faces far from their person's centers.
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
            _proportion(message, "recall"),
            _proportion(message, "agreement"),
            _proportion(message, "confirmed"),
            _proportion(message, "far_recall"),
        )


def _proportion(message: Any, field: str) -> Proportion | None:
    return Proportion.from_message(getattr(message, field)) if message.HasField(field) else None


@dataclasses.dataclass(frozen=True)
class DuplicatePair:
    """Two persons who may be one.

    Attributes:
        person_id_a: The person enrolled first.
        person_id_b: The other person.
        face_id_a: The face of `person_id_a` that is nearest to the other person; "" without `scores`.
        face_id_b: The face of `person_id_b` that is nearest to the first person; "" without `scores`.
        distance: Between these two faces; None without `scores`.
        dismissed: Whether the pair was dismissed as two different persons (`dismiss_duplicate`).
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


@dataclasses.dataclass(frozen=True)
class InconsistentFace:
    """A face that is nearer to somebody else's than to any other of its person's.

    Attributes:
        face_id: The face.
        person_id: Its person.
        own_face_id: The nearest of the person's other faces.
        own_distance: From the face to that one.
        other_person_id: The person of the nearest face of anybody else.
        other_face_id: That face.
        other_distance: From the face to that one, less than `own_distance`.
        suggestion: What probably corrects it: `move_face` to the other person (it is unlike most of its
            person's others), `move_other_face` to this one (the other face is unlike its person's),
            `merge_persons` (both are like the others of both, who are likely one human), or `review`.
    """

    face_id: str
    person_id: str
    own_face_id: str
    own_distance: float
    other_person_id: str
    other_face_id: str
    other_distance: float
    suggestion: str

    @classmethod
    def from_message(cls, message: v1.InconsistentFace) -> Self:
        """Read the contract's message."""
        suggestion = v1.CorrectionSuggestion.Name(message.suggestion)
        return cls(
            message.face_id,
            message.person_id,
            message.own_face_id,
            message.own_distance,
            message.other_person_id,
            message.other_face_id,
            message.other_distance,
            suggestion.removeprefix("CORRECTION_SUGGESTION_").lower(),
        )
