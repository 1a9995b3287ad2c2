"""The faces in a pickle: a dict of encodings and names, or the training data of a fitted classifier."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from facerec.sources.budget import Budget
from facerec.sources.columns import Encodings, column_rows, listed
from facerec.sources.errors import SourceRefused
from facerec.sources.pickles import machine
from facerec.sources.pickles.objects import Bare
from facerec.sources.rows import Refuse, Row
from facerec.sources.source_file import SourceFile


def rows(file: SourceFile, refuse: Refuse) -> Iterator[Row]:
    """The faces of a pickle in its order. Raises SourceRefused."""
    budget = Budget(file.size)
    found = machine.read(file.stream, budget)
    file.check_unchanged()
    encodings, names = _of_classifier(found) if isinstance(found, Bare) else _of_dict(found)
    del found  # the rest of it, such as a classifier's tree
    return column_rows(encodings, {"person_id": names}, budget, refuse)


def _of_dict(found: Any) -> tuple[Encodings, Sequence[Any]]:
    if not isinstance(found, dict) or not {"encodings", "names"} <= set(found):
        raise SourceRefused(
            'the pickle holds neither {"encodings": [...], "names": [...]} nor a fitted KNeighborsClassifier'
        )
    return _encodings(found["encodings"], "encodings"), listed(found["names"], "names")


def _of_classifier(found: Bare) -> tuple[Encodings, Sequence[Any]]:
    """The training data of a fitted classifier: `_y` are places in `classes_`."""
    state = found.state
    if found.kind.name != "KNeighborsClassifier" or not isinstance(state, dict):
        raise SourceRefused(f"of scikit-learn's models KNeighborsClassifier is read, not {found.kind}")
    if not {"_fit_X", "_y", "classes_"} <= set(state):
        raise SourceRefused("the KNeighborsClassifier is not fitted")
    classes, labels = listed(state["classes_"], "classes_"), state["_y"]
    if (
        not isinstance(labels, np.ndarray)
        or labels.ndim != 1
        or labels.dtype.kind not in "iu"
        or not np.all((labels >= 0) & (labels < len(classes)))
    ):
        raise SourceRefused("the KNeighborsClassifier's labels are not places in its classes_")
    return _encodings(state["_fit_X"], "_fit_X"), [classes[label] for label in labels.tolist()]


def _encodings(value: Any, name: str) -> Encodings:
    """An array's rows stay in the array, which takes less memory than a list of them."""
    return value if isinstance(value, np.ndarray) and value.ndim == 2 else listed(value, name)
