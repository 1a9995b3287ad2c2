"""The objects that a pickle may name: numpy arrays, built here, and placeholders of scikit-learn objects."""

import dataclasses
import math
import re
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from facerec.sources.errors import SourceRefused

_CODE: Final = re.compile(r"[biufcmMOSUV?]\d{0,9}")
"""A basic numpy type code. `numpy.dtype` also accepts other texts, of any length."""

_KINDS: Final = frozenset("biufUSV")
"""Kinds of basic numpy types: bool, integers, float, text, bytes, and records, which are skipped."""

_NUMPY: Final = ("numpy", "numpy.core.multiarray", "numpy._core.multiarray")
_NUMERIC: Final = ("numpy.core.numeric", "numpy._core.numeric")
_BUILTINS: Final = ("builtins", "__builtin__")
_KNOWN: Final = frozenset(
    {
        *((module, name) for module in _NUMPY for name in ("ndarray", "dtype", "_reconstruct", "scalar")),
        *((module, "_frombuffer") for module in _NUMERIC),
        *((module, "_reconstructor") for module in ("copyreg", "copy_reg")),
        *((module, name) for module in _BUILTINS for name in ("object", "bytearray")),
        ("_codecs", "encode"),
    }
)
_MAX_SHOWN_CHARACTERS: Final = 100


@dataclasses.dataclass(frozen=True, slots=True)
class Name:
    """A name that unpickling would import. Its text has at most 100 printable characters."""

    module: str
    name: str

    def __str__(self) -> str:
        shown = f"{self.module}.{self.name}"[:_MAX_SHOWN_CHARACTERS]
        return shown if shown.isprintable() else ascii(shown)


@dataclasses.dataclass(eq=False, slots=True)
class Placeholder:
    """A record of an object whose class is not imported: the class's name, and its state."""

    kind: Name
    state: Any = None


@dataclasses.dataclass(eq=False, slots=True)
class Type:
    """A numpy type that is being built: a code such as `f8`, `O8` for texts, and the byte order."""

    code: str
    order: str = "="

    def dtype(self) -> np.dtype[Any]:
        """The numpy type."""
        if self.code == "O8":
            return np.dtype(object)
        dtype = np.dtype(self.code)
        return dtype.newbyteorder(self.order) if self.order in {"<", ">"} else dtype  # type: ignore[arg-type]


@dataclasses.dataclass(eq=False, slots=True)
class Array:
    """A numpy array that gets its state by a later operation; `value` is None until then."""

    value: npt.NDArray[Any] | None = None


def of_type(value: Any, kind: type) -> Any:
    """The value, checked to be of this type. Raises SourceRefused."""
    if not isinstance(value, kind):
        raise SourceRefused("it is damaged")
    return value


def known(name: Name) -> Name:
    """The name, checked to be allowed; it is never imported. Raises SourceRefused."""
    if (name.module, name.name) in _KNOWN or _is_scikit_learn(name):
        return name
    raise SourceRefused(f"it names {name}, and nothing that a pickle names is executed here")


def new(kind: Name) -> Array | Placeholder:
    """A new object without its state. Raises SourceRefused where its class is not supported."""
    if kind.name == "ndarray" and kind.module in _NUMPY:
        return Array()
    if _is_scikit_learn(kind):
        return Placeholder(kind)
    raise SourceRefused(f"it makes an object of {kind}, which is not read here")


def called(name: Name, arguments: tuple[Any, ...]) -> Any:  # noqa: PLR0911
    """The result of a call, for the few supported names; nothing is called. Raises SourceRefused."""
    match name.name, arguments:
        case "dtype", (str(code), *_):
            return _type(code)
        case "_reconstruct", _:
            return Array()
        case "scalar", (Type() as kind, bytes(data)):
            return np.frombuffer(data, kind.dtype(), 1)[0].item()
        case "scalar", (Type(code="O8"), str(text)):
            return text
        case "_frombuffer", (bytes() | bytearray() as data, Type() as kind, tuple(shape), order):
            return _array(kind, shape, data, fortran=order == "F")
        case "_reconstructor", (Name() as kind, *_) if _is_scikit_learn(kind):
            return Placeholder(kind)
        case "encode", (str(text), "latin1"):
            return text.encode("latin1")
        case "bytearray", ():
            return bytearray()
        case "bytearray", (bytes(data),):
            return bytearray(data)
        case _ if _is_scikit_learn(name):  # the tree of a fitted classifier, which is not needed
            return Placeholder(name)
    raise SourceRefused(f"it calls {name}, and nothing that a pickle names is executed here")


def set_state(target: Any, state: Any) -> None:
    """Set an object's state. Raises SourceRefused where it is not a state of such an object."""
    match target, state:
        case Array(value=None), (_, tuple(shape), Type() as kind, fortran, data):
            target.value = _array(kind, shape, data, fortran=bool(fortran))
        case Type(), (_, str(order), *_):
            target.order = order
        case Placeholder(), _:
            target.state = state
        case _:
            raise SourceRefused("it is damaged")


def _is_scikit_learn(name: Name) -> bool:
    return name.module == "sklearn" or name.module.startswith("sklearn.")


def _type(code: str) -> Type:
    if not _CODE.fullmatch(code) or (code != "O8" and np.dtype(code).kind not in _KINDS):
        shown = ascii(code[:_MAX_SHOWN_CHARACTERS])
        raise SourceRefused(f"it has numpy values of type {shown}, which is not read here")
    return Type(code)


def _array(kind: Type, shape: tuple[Any, ...], data: Any, *, fortran: bool) -> npt.NDArray[Any]:
    dtype = kind.dtype()
    if dtype.kind == "V":  # part of a classifier's tree, which is not needed
        return np.empty(0, np.uint8)
    items = data.encode("latin1") if isinstance(data, str) else data
    items = of_type(items, list if dtype.hasobject else bytes | bytearray)  # type: ignore[arg-type]
    sizes = [of_type(size, int) for size in shape]
    count = math.prod(sizes)
    width = 1 if dtype.hasobject else dtype.itemsize
    if any(size < 0 for size in sizes) or count * width != len(items) or (count and not width):
        raise SourceRefused("it is damaged: it has an array of another size than its bytes")
    if count == 0:
        if sizes[0] > 0:  # empty rows, whose count the file's size does not limit
            raise SourceRefused(f"it has an array of {sizes[0]} rows without anything in them")
        return np.empty(0, np.uint8)
    order: Any = "F" if fortran else "C"
    if not dtype.hasobject:
        return np.frombuffer(items, dtype).reshape(sizes, order=order)
    array = np.empty(count, object)
    for index, item in enumerate(items):  # numpy itself would convert nested lists
        array[index] = item
    return array.reshape(sizes, order=order)
