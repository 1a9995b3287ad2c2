"""Names of a source's fields: those read here, and what other programs call the same."""

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
"""What a column of encodings and one of names are called, in pairs."""

OF_FACES: Final = frozenset(
    {*_ELSEWHERE, *TEXTS, *(other for others in _ELSEWHERE.values() for other in others)}
) - {key for pair in PAIRS for key in pair}
"""Fields that the object of one face may have."""


def check(names: Collection[str], location: str, *, hint: str = "name it") -> None:
    """Raise SourceRefused where a field is there under another name only, as it then is in every row.

    `hint` says how a field is renamed in this kind of source.
    """
    for field, others in _ELSEWHERE.items():
        if field not in names and (there := next((other for other in others if other in names), None)):
            raise SourceRefused(f"it has {there}, and no {field}: {hint} {field}", location=location)
