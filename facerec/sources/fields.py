"""The names that a source gives its fields: ours, and what others call the same."""

from collections.abc import Collection
from typing import Final

from facerec.sources.errors import SourceRefused
from facerec.sources.rows import TEXTS

_ELSEWHERE: Final = {
    "person_id": ("name", "person", "label", "id", "user_id", "person_name"),
    "encoding": ("vector", "embedding", "face_encoding", "encodings", "descriptor", "features"),
}
PAIRS: Final = (
    ("encodings", "names"),
    ("known_face_encodings", "known_face_names"),
    ("known_encodings", "known_names"),
)
"""What columns of encodings and of names are called together."""

OF_FACES: Final = frozenset(
    {*_ELSEWHERE, *TEXTS, *(other for others in _ELSEWHERE.values() for other in others)}
) - {key for pair in PAIRS for key in pair}
"""What may stand in the object of one face."""


def check(names: Collection[str], place: str, *, mend: str = "name it") -> None:
    """Raise SourceRefused where a field is there by another name alone, as it is in every row then.

    `mend` says how a field is named otherwise in this kind of source.
    """
    for field, others in _ELSEWHERE.items():
        if field not in names and (there := next((other for other in others if other in names), None)):
            raise SourceRefused(f"it has {there}, and no {field}: {mend} {field}", place=place)
