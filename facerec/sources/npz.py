"""Reads encodings from a numpy npz, a zip of arrays; arrays with other names are not read."""

import io
import math
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO, Final

import numpy as np
import numpy.typing as npt
from numpy.lib import format as npy

from facerec.contract import DIMENSIONS
from facerec.sources.budget import MAX_DIRECTORY_BYTES, NO_MEMORY, Budget
from facerec.sources.columns import column_rows
from facerec.sources.errors import SourceRefused
from facerec.sources.json_texts import decode
from facerec.sources.rows import ATTRIBUTES, TEXTS, Refuse, Row
from facerec.sources.source_file import SourceFile

_HEADER_BYTES: Final = 2**14
_PART_BYTES: Final = 2**20
_COMPRESSIONS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""Those that numpy writes; others may take any amount of memory to unpack."""

_ENCRYPTED: Final = 1
_BUILT_PER_BYTE: Final = 8  # what a JSON text takes in memory
_NAMES: Final = frozenset(
    {"encodings", "person_ids", "names", "attributes", *(f"{field}s" for field in TEXTS)}
)


def rows(file: SourceFile, refuse: Refuse) -> Iterator[Row]:
    """The faces of an npz in order. Raises SourceRefused."""
    budget = Budget(file.size)
    members = _members(file.stream)
    people = "person_ids" if "person_ids" in members.found else "names"
    if not {"encodings", people} <= members.found.keys():
        raise SourceRefused("an npz holds the arrays encodings, of shape (n, 128), and person_ids")
    encodings = members.array("encodings", "fiu", budget)
    if encodings.ndim != 2 or encodings.shape[1] != DIMENSIONS:
        raise SourceRefused(
            f"it has shape {encodings.shape}, and not (n, {DIMENSIONS})", location="encodings"
        )
    columns = {"person_id": members.array(people, "Uiu", budget)}
    for field in TEXTS:
        if f"{field}s" in members.found:
            columns[field] = members.array(f"{field}s", "U", budget)
    file.check_unchanged()
    for field, column in columns.items():
        if column.shape != (len(encodings),):
            raise SourceRefused(
                f"there are {len(encodings)} encodings, and {field} has shape {column.shape}: "
                "give each face one"
            )
    named = {field: column.tolist() for field, column in columns.items()}
    if "attributes" in members.found:
        lines = members.array("attributes", "u", budget)
        budget.spend(built_bytes=_BUILT_PER_BYTE * lines.nbytes)
        named |= _attributes(lines.tobytes(), named["person_id"])
    yield from column_rows(encodings, named, file, budget, refuse)


def _attributes(lines: bytes, people: Sequence[Any]) -> dict[str, list[Any]]:
    """Columns of labels and metadata, with the first face of each person, from JSON lines of people."""
    try:
        records = [decode(line) for line in lines.decode().split("\n") if line]
        of_people = {str(record.pop("person_id")): record for record in records}
    except (UnicodeDecodeError, ValueError, AttributeError, TypeError, KeyError):
        raise SourceRefused(
            "it is not lines of JSON objects with person_id, labels and metadata", location="attributes"
        ) from None
    found = [of_people.pop(str(person), {}) for person in people]
    return {field: [record.get(field) for record in found] for field in ATTRIBUTES}


class _LimitedStream:
    """A stream that limits the size of the directory, which zipfile reads as a whole when it opens a zip."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.is_open = False
        self.seek, self.tell, self.seekable = stream.seek, stream.tell, stream.seekable

    def read(self, size: int = -1) -> bytes:
        if self.is_open:
            return self._stream.read(size)
        data = self._stream.read(MAX_DIRECTORY_BYTES + 1 if size < 0 else min(size, MAX_DIRECTORY_BYTES + 1))
        if len(data) > MAX_DIRECTORY_BYTES:
            raise SourceRefused("its list of arrays has more than 1 MiB: write it again with numpy.savez")
        return data


class _Members:
    """The known arrays of a zip, by name."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self.found: dict[str, zipfile.ZipInfo] = {}
        for info in archive.infolist():
            name = info.filename.removesuffix(".npy")
            if name not in _NAMES:
                continue
            if name in self.found:
                raise SourceRefused("the npz has it twice: write it again with numpy.savez", location=name)
            self.found[name] = info

    def array(self, name: str, kinds: str, budget: Budget) -> npt.NDArray[Any]:
        """Read an array whose dtype has one of numpy's `kinds`. Raises SourceRefused with its name."""
        info = self.found[name]
        if info.flag_bits & _ENCRYPTED:
            raise SourceRefused("it is encrypted: write it again with numpy.savez", location=name)
        if info.compress_type not in _COMPRESSIONS:
            raise SourceRefused(
                "it has a compression that numpy does not use: write it again with numpy.savez", location=name
            )
        try:
            budget.spend(built_bytes=info.file_size)
            with self._archive.open(info) as member:
                return _array(member, info.file_size, kinds)
        except SourceRefused as error:
            raise SourceRefused(error.message, location=name) from None
        except MemoryError:
            raise SourceRefused(NO_MEMORY, location=name) from None
        except Exception as error:  # zipfile and zlib raise many classes for damaged files
            raise SourceRefused(
                f"it is damaged ({type(error).__name__}): write it again with numpy.savez", location=name
            ) from None


def _members(stream: BinaryIO) -> _Members:
    opening = _LimitedStream(stream)
    try:
        archive = zipfile.ZipFile(opening)
    except SourceRefused:
        raise
    except Exception:  # as above
        raise SourceRefused("it is not an npz, or damaged: write it with numpy.savez") from None
    opening.is_open = True
    return _Members(archive)


def _array(member: Any, size: int, kinds: str) -> npt.NDArray[Any]:
    """Read an open npy of `size` bytes; its header is trusted only where it matches the size."""
    head = member.read(min(size, _HEADER_BYTES))
    shape, fortran, dtype, header_bytes = _header(head)
    if dtype.hasobject or dtype.kind not in kinds:
        wanted = "numbers" if "f" in kinds else "texts" if kinds == "U" else "texts or whole numbers"
        raise SourceRefused(f"it is of type {str(dtype)[:40]}, and not of {wanted}: write it again as those")
    claimed = math.prod(shape) * dtype.itemsize
    if not dtype.itemsize or any(length < 0 for length in shape) or claimed != size - header_bytes:
        raise SourceRefused(f"its shape {shape} of {dtype} does not match its bytes: write it again")
    array = np.empty(shape, dtype, "F" if fortran else "C")
    if array.nbytes:
        _fill(array.reshape(-1, order="A").view(np.uint8).data, head[header_bytes:], member)
    return array


def _fill(into: memoryview, head: bytes, member: Any) -> None:
    """Fill an array with the bytes read together with its header, and the rest of the member."""
    into[: len(head)] = head
    at = len(head)
    while part := member.read(_PART_BYTES):  # to the end, where the checksum is verified
        into[at : at + len(part)] = part
        at += len(part)
    if at != len(into):
        raise SourceRefused("it ends too early: write it again")


def _header(head: bytes) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    """The shape, Fortran order, dtype and header size in bytes of an npy."""
    stream = io.BytesIO(head)
    version = npy.read_magic(stream)
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    with warnings.catch_warnings(action="ignore"):  # about headers of old versions
        shape, fortran, dtype = read(stream)
    return shape, fortran, dtype, stream.tell()
