"""The names of a source's fields: those read here, and the names that other programs use for them."""

from collections.abc import Collection
from typing import Final

from facerec.sources.errors import SourceRefused
from facerec.sources.rows import ATTRIBUTES, TEXTS

_OTHER_NAMES: Final = {
    "person_id": ("name", "person", "label", "id", "user_id", "person_name"),
    "encoding": ("vector", "embedding", "face_encoding", "encodings", "descriptor", "features"),
}
PAIRS: Final = (
    ("encodings", "names"),
    ("known_face_encodings", "known_face_names"),
    ("known_encodings", "known_names"),
)
"""The accepted names of a column of encodings and of the column of names beside it."""

OF_FACES: Final = frozenset(
    {*_OTHER_NAMES, *TEXTS, *ATTRIBUTES, *(other for others in _OTHER_NAMES.values() for other in others)}
) - {key for pair in PAIRS for key in pair}
"""The fields that the object of one face may have, under any known name."""


def check(names: Collection[str], location: str, *, hint: str = "name it") -> None:
    """Raise SourceRefused where a field has another program's name, as it then has in every row.

    `hint` says how to rename a field in this kind of source.
    """
    for field, others in _OTHER_NAMES.items():
        if field not in names and (found := next((other for other in others if other in names), None)):
            raise SourceRefused(f"it has {found}, and no {field}: {hint} {field}", location=location)
