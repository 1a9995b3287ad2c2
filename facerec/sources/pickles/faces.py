"""The faces in a pickle: encodings and names in a common form, or of a fitted classifier."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np

from facerec.sources import deepface, fields
from facerec.sources.budget import Budget
from facerec.sources.columns import Encodings, as_list, column_rows
from facerec.sources.errors import SourceRefused
from facerec.sources.pickles import machine
from facerec.sources.pickles.objects import Placeholder
from facerec.sources.rows import Refuse, Row, face
from facerec.sources.source_file import SourceFile

PAIR: Final = 2
_ENCODINGS: Final = ("encoding", "face_encoding", "embedding", "vector")
_NAMES: Final = ("person_id", "name")
_DATASTORE: Final = {"identity", "embedding"}
_UNKNOWN: Final = (
    'a pickle holds {"encodings": [...], "names": [...]}, the same as known_face_encodings and '
    "known_face_names, a pair of both, {name: vector or vectors}, a list of dicts of person_id and encoding, "
    "or a fitted KNeighborsClassifier"
)


def rows(file: SourceFile, refuse: Refuse) -> Iterator[Row]:
    """The faces of a pickle in order. Raises SourceRefused."""
    budget = Budget(file.size)
    found = machine.read(file.stream, budget)
    file.check_unchanged()
    if isinstance(found, dict) and _pair_of(found) is None:
        return _people_rows(_by_person(found), file, budget, refuse)
    if isinstance(found, list) and found and isinstance(found[0], dict) and found[0].keys() >= _DATASTORE:
        return _deepface_rows(found, file, budget, refuse)
    encodings, names = _of_classifier(found) if isinstance(found, Placeholder) else _columns(found)
    del found  # frees what is not needed, such as a classifier's tree
    return column_rows(encodings, {"person_id": names}, file, budget, refuse)


def _deepface_rows(found: list[Any], file: SourceFile, budget: Budget, refuse: Refuse) -> Iterator[Row]:
    """The faces of a datastore of deepface, a list of dicts with the photo's path as identity."""
    space = deepface.datastore_space(file.name)
    budget.spend_rows(len(found))
    records = [record if isinstance(record, dict) else {} for record in found]
    names = [name if isinstance(name := record.get("identity"), str) else "" for record in records]
    photos = deepface.Photos(names)
    for number, (record, name) in enumerate(zip(records, names, strict=True)):
        file.share = number / len(found)
        location = f"row {number}"
        if record.get("embedding") is None:
            refuse(location, "embedding", "deepface found no face in its photo")
        elif row := face(
            location,
            record["embedding"],
            {"person_id": photos.person(name), "external_ref": deepface.reference(name)},
            refuse,
            space=space,
        ):
            yield row


def _columns(found: Any) -> tuple[Encodings, Sequence[Any]]:
    """The encodings and the names of a dict of both, of a pair of both, or of a list of dicts."""
    if isinstance(found, dict) and (pair := _pair_of(found)):
        return _encodings(found[pair[0]], pair[0]), as_list(found[pair[1]], pair[1])
    if isinstance(found, list) and found and all(isinstance(record, dict) for record in found):
        return _of_records(found)
    if isinstance(found, tuple | list) and len(found) == PAIR:
        first, second = found
        if _is_name(first):
            first, second = second, first
        return _encodings(first, "the encodings"), as_list(second, "the names")
    raise SourceRefused(_UNKNOWN)


def _pair_of(found: dict[Any, Any]) -> tuple[str, str] | None:
    return next((pair for pair in fields.PAIRS if set(pair) <= found.keys()), None)


def _is_name(column: Any) -> bool:
    """Whether a column's first item is a text, so that it has names."""
    return isinstance(column, list | tuple | np.ndarray) and len(column) > 0 and isinstance(column[0], str)


def _of_records(records: list[dict[Any, Any]]) -> tuple[Encodings, Sequence[Any]]:
    """The encodings and the names in a list of dicts; the keys are those of the first dict."""
    keys = [next((key for key in known if key in records[0]), None) for known in (_ENCODINGS, _NAMES)]
    if None in keys:
        raise SourceRefused(f"its dicts have no person_id and encoding: {_UNKNOWN}")
    encoding, name = keys
    return [record.get(encoding) for record in records], [record.get(name) for record in records]


def _by_person(found: dict[Any, Any]) -> dict[Any, Any]:
    """The dict, checked to have a vector or vectors for each person. Raises SourceRefused."""
    if not found or not all(isinstance(value, list | tuple | np.ndarray) for value in found.values()):
        raise SourceRefused(_UNKNOWN)
    return found


def _people_rows(people: dict[Any, Any], file: SourceFile, budget: Budget, refuse: Refuse) -> Iterator[Row]:
    number = 0
    for index, (name, value) in enumerate(people.items()):
        vectors = [value] if _is_vector(value) else value
        budget.spend_rows(len(vectors))
        file.share = index / len(people)
        for vector in vectors:
            if row := face(f"row {number}", vector, {"person_id": name}, refuse):
                yield row
            number += 1


def _is_vector(value: Any) -> bool:
    """Whether a value is one vector and not several."""
    if isinstance(value, np.ndarray) and value.dtype.kind != "O":
        return value.ndim == 1
    return len(value) > 0 and isinstance(value[0], int | float | np.number)


def _of_classifier(found: Placeholder) -> tuple[Encodings, Sequence[Any]]:
    """The training data of a fitted classifier, whose `_y` has indices into `classes_`."""
    state = found.state
    if found.kind.name != "KNeighborsClassifier" or not isinstance(state, dict):
        raise SourceRefused(f"of scikit-learn's models KNeighborsClassifier is read, not {found.kind}")
    if not {"_fit_X", "_y", "classes_"} <= set(state):
        raise SourceRefused("the KNeighborsClassifier is not fitted")
    classes, labels = as_list(state["classes_"], "classes_"), state["_y"]
    if (
        not isinstance(labels, np.ndarray)
        or labels.ndim != 1
        or labels.dtype.kind not in "iu"
        or not np.all((labels >= 0) & (labels < len(classes)))
    ):
        raise SourceRefused("the KNeighborsClassifier's labels are not indices into its classes_")
    return _encodings(state["_fit_X"], "_fit_X"), [classes[label] for label in labels.tolist()]


def _encodings(value: Any, name: str) -> Encodings:
    """The vectors: an array unchanged, which takes less memory than a list of its rows."""
    return value if isinstance(value, np.ndarray) and value.ndim == 2 else as_list(value, name)
