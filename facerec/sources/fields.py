"""The names of a source's fields: those read here, and the names that other programs use for them."""

from collections.abc import Collection, Mapping
from typing import Any, Final

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

_OF_OTHER_SPACE: Final = ", and give --space where face-api.js made it"
_GO_ENCODING: Final = "Descriptor"
_GO_NAMES: Final = ("Name", "Label", "ID", "Id")

OF_FACES: Final = frozenset(
    {
        _GO_ENCODING,
        *_OTHER_NAMES,
        *TEXTS,
        *ATTRIBUTES,
        *(other for others in _OTHER_NAMES.values() for other in others),
    }
) - {key for pair in PAIRS for key in pair}
"""The fields that the object of one face may have, under any known name."""


def of_go_face(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """The record, with our names if it is a Go struct with go-face's Descriptor and a name."""
    if _GO_ENCODING not in record or "encoding" in record:
        return record
    named = next((name for name in ("person_id", *_GO_NAMES) if name in record), "")
    return {**record, "encoding": record[_GO_ENCODING], **({"person_id": record[named]} if named else {})}


def check(names: Collection[str], location: str, *, hint: str = "name it") -> None:
    """Raise SourceRefused where a field has another program's name, as it then has in every row.

    `hint` says how to rename a field in this kind of source.
    """
    for field, others in _OTHER_NAMES.items():
        if field not in names and (found := next((other for other in others if other in names), None)):
            space = _OF_OTHER_SPACE if found == "descriptor" else ""
            raise SourceRefused(f"it has {found}, and no {field}: {hint} {field}{space}", location=location)
