"""Faces in columns that are in memory: encodings, and other columns of the same length."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from facerec.sources.budget import Budget
from facerec.sources.errors import SourceRefused
from facerec.sources.rows import Refuse, Row, face
from facerec.sources.source_file import SourceFile

Encodings = Sequence[Any] | npt.NDArray[Any]
"""A list of vectors, or an array whose rows they are."""


def column_rows(
    encodings: Encodings,
    columns: Mapping[str, Sequence[Any]],
    file: SourceFile,
    budget: Budget,
    refuse: Refuse,
) -> Iterator[Row]:
    """The faces in the columns of a file; `columns` has those besides the encodings, by field.

    Raises SourceRefused where their lengths differ, or are more than the budget allows.
    """
    count = len(encodings)
    for name, column in columns.items():
        if len(column) != count:
            raise SourceRefused(
                f"there are {count} encodings and {len(column)} of {name}: give each face one"
            )
    budget.spend_rows(count)
    for number, encoding in enumerate(encodings):
        file.share = number / count
        record = {name: column[number] for name, column in columns.items()}
        if row := face(f"row {number}", encoding, record, refuse):
            yield row


def as_list(value: Any, name: str) -> Sequence[Any]:
    """A list, a tuple or an array of one dimension as a list or tuple. Raises SourceRefused naming it."""
    if isinstance(value, np.ndarray) and value.ndim == 1:
        items: list[Any] = value.tolist()
        return items
    if isinstance(value, list | tuple):
        return value
    raise SourceRefused(f"{name} is neither a list nor an array of one dimension")
