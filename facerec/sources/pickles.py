"""Reads what is in a pickle without executing anything of it.

A pickle is a program that builds objects by calling what it names. Here nothing that it names is imported or
called: a small machine over `pickletools.genops` builds numbers, texts, lists, tuples, dicts and numpy arrays
by itself, keeps objects of scikit-learn as their bare state, and refuses every other name.
"""

import dataclasses
import math
import pickletools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

MAX_STACK: Final = 10_000_000
_MARK: Final = object()
_KINDS: Final = frozenset("biufUSV")
"""Kinds of numpy's plain types: bool, integers, float, text, bytes, and records, which are left out."""

_NUMPY: Final = ("numpy", "numpy.core.multiarray", "numpy._core.multiarray")
_NUMERIC: Final = ("numpy.core.numeric", "numpy._core.numeric")


class PickleRefused(Exception):
    """The pickle holds what is not read here; the message says what."""


@dataclasses.dataclass(frozen=True)
class Name:
    """What a pickle would have imported."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclasses.dataclass(eq=False)
class Bare:
    """An object as its class's name and its state."""

    kind: Name
    state: Any = None


@dataclasses.dataclass(eq=False)
class _Type:
    """A numpy type being built: `<f8` and the like; `object` for an array of texts."""

    code: str
    order: str = "="

    def made(self) -> np.dtype[Any]:
        if self.code == "O8":
            return np.dtype(object)
        made = np.dtype(self.code)
        return made.newbyteorder(self.order) if self.order in "<>" else made  # type: ignore[arg-type]


@dataclasses.dataclass(eq=False)
class _Array:
    """A numpy array whose state comes next."""

    value: npt.NDArray[Any] | None = None


def read(data: bytes) -> Any:
    """What the pickle holds: Python's plain types, numpy arrays, and `Bare` objects.

    Raises PickleRefused for anything that would have to be executed, and for bytes that are no pickle.
    """
    machine = _Machine()
    try:
        for operation, argument, _ in pickletools.genops(data):
            if operation.name == "STOP":
                return _settled(machine.pop())
            machine.do(operation.name, argument)
    except PickleRefused:
        raise
    except Exception as error:  # of a hostile pickle nearly anything; nothing of it was executed
        raise PickleRefused(f"it is damaged, or no pickle ({type(error).__name__})") from None
    raise PickleRefused("it ends too early")


class _Machine:
    """The pickle machine's stack and memo."""

    def __init__(self) -> None:
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def do(self, name: str, argument: Any) -> None:
        """Carry out one operation. Raises PickleRefused."""
        if name in _PUSHED:
            self._push(argument)
        elif name in _CONSTANTS:
            self._push(_CONSTANTS[name]())
        elif operation := _OPERATIONS.get(name):
            operation(self, argument)
        else:
            raise PickleRefused(f"it uses {name}, which is not read here")

    def _push(self, value: Any) -> None:
        if len(self._stack) >= MAX_STACK:
            raise PickleRefused("it nests too deep")
        self._stack.append(value)

    def pop(self) -> Any:
        value = self._stack.pop()
        if value is _MARK:
            raise PickleRefused("it is damaged")
        return value

    def _since_mark(self) -> list[Any]:
        at = len(self._stack) - 1
        while self._stack[at] is not _MARK:
            at -= 1
        items = self._stack[at + 1 :]
        del self._stack[at:]
        return items

    def mark(self, _: Any) -> None:
        self._push(_MARK)

    def drop(self, _: Any) -> None:
        self._stack.pop()

    def drop_mark(self, _: Any) -> None:
        self._since_mark()

    def again(self, _: Any) -> None:
        self._push(self._stack[-1])

    def get(self, argument: Any) -> None:
        self._push(self._memo[int(argument)])

    def put(self, argument: Any) -> None:
        self._memo[int(argument)] = self._stack[-1]

    def memoize(self, _: Any) -> None:
        self._memo[len(self._memo)] = self._stack[-1]

    def tuple_of(self, count: int) -> None:
        items = [self.pop() for _ in range(count)]
        self._push(tuple(reversed(items)))

    def tuple_since_mark(self, _: Any) -> None:
        self._push(tuple(self._since_mark()))

    def list_since_mark(self, _: Any) -> None:
        self._push(self._since_mark())

    def dict_since_mark(self, _: Any) -> None:
        self._push(_pairs(self._since_mark()))

    def append(self, _: Any) -> None:
        value = self.pop()
        _of(self._stack[-1], list).append(value)

    def appends(self, _: Any) -> None:
        items = self._since_mark()
        _of(self._stack[-1], list).extend(items)

    def set_item(self, _: Any) -> None:
        value, key = self.pop(), self.pop()
        _of(self._stack[-1], dict).update(_pairs([key, value]))

    def set_items(self, _: Any) -> None:
        items = self._since_mark()
        _of(self._stack[-1], dict).update(_pairs(items))

    def name(self, argument: Any) -> None:
        module, _, name = str(argument).partition(" ")
        self._push(_known(Name(module, name)))

    def name_from_stack(self, _: Any) -> None:
        name, module = self.pop(), self.pop()
        self._push(_known(Name(_of(module, str), _of(name, str))))

    def call(self, _: Any) -> None:
        arguments, name = self.pop(), self.pop()
        self._push(_called(_of(name, Name), _of(arguments, tuple)))

    def new(self, _: Any) -> None:
        _, kind = self.pop(), self.pop()
        self._push(_bare(_of(kind, Name)))

    def new_with_keywords(self, _: Any) -> None:
        self.pop()
        self.new(None)

    def build(self, _: Any) -> None:
        state = self.pop()
        _give_state(self._stack[-1], state)


_PUSHED: Final = {
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE"),
    *("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
}
_CONSTANTS: Final[Mapping[str, Callable[[], Any]]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
    "EMPTY_TUPLE": tuple,
}


def _nothing(machine: _Machine, argument: Any) -> None:
    """An operation that only frames what follows."""


_OPERATIONS: Final[Mapping[str, Callable[[_Machine, Any], None]]] = {
    "PROTO": _nothing,
    "FRAME": _nothing,
    "MARK": _Machine.mark,
    "POP": _Machine.drop,
    "POP_MARK": _Machine.drop_mark,
    "DUP": _Machine.again,
    "GET": _Machine.get,
    "BINGET": _Machine.get,
    "LONG_BINGET": _Machine.get,
    "PUT": _Machine.put,
    "BINPUT": _Machine.put,
    "LONG_BINPUT": _Machine.put,
    "MEMOIZE": _Machine.memoize,
    "TUPLE": _Machine.tuple_since_mark,
    "TUPLE1": lambda machine, _: machine.tuple_of(1),
    "TUPLE2": lambda machine, _: machine.tuple_of(2),
    "TUPLE3": lambda machine, _: machine.tuple_of(3),
    "LIST": _Machine.list_since_mark,
    "DICT": _Machine.dict_since_mark,
    "APPEND": _Machine.append,
    "APPENDS": _Machine.appends,
    "SETITEM": _Machine.set_item,
    "SETITEMS": _Machine.set_items,
    "GLOBAL": _Machine.name,
    "STACK_GLOBAL": _Machine.name_from_stack,
    "REDUCE": _Machine.call,
    "NEWOBJ": _Machine.new,
    "NEWOBJ_EX": _Machine.new_with_keywords,
    "BUILD": _Machine.build,
}


def _of(value: Any, kind: type) -> Any:
    if not isinstance(value, kind):
        raise PickleRefused("it is damaged")
    return value


def _pairs(items: Sequence[Any]) -> dict[Any, Any]:
    keys = items[::2]
    if len(items) % 2 or not all(isinstance(key, str | int | float | bytes | None) for key in keys):
        raise PickleRefused("it has a dict with keys that are no texts or numbers")
    return dict(zip(keys, items[1::2], strict=True))


def _is_scikit_learn(name: Name) -> bool:
    return name.module == "sklearn" or name.module.startswith("sklearn.")


def _known(name: Name) -> Name:
    """A name that may stand in a pickle; it is never imported. Raises PickleRefused."""
    allowed = {
        *((module, each) for module in _NUMPY for each in ("ndarray", "dtype", "_reconstruct", "scalar")),
        *((module, "_frombuffer") for module in _NUMERIC),
        *((module, "_reconstructor") for module in ("copyreg", "copy_reg")),
        *((module, "object") for module in ("builtins", "__builtin__")),
        *((module, "bytearray") for module in ("builtins", "__builtin__")),
        ("_codecs", "encode"),
    }
    if (name.module, name.name) in allowed or _is_scikit_learn(name):
        return name
    raise PickleRefused(f"it names {name}, and nothing that a pickle names is executed here")


def _bare(kind: Name) -> Any:
    if kind.name == "ndarray" and kind.module in _NUMPY:
        return _Array()
    if _is_scikit_learn(kind):
        return Bare(kind)
    raise PickleRefused(f"it makes an object of {kind}, which is not read here")


def _called(name: Name, arguments: tuple[Any, ...]) -> Any:  # noqa: PLR0911
    """What calling the name would give, for the few whose result is plain. Raises PickleRefused."""
    match name.name, arguments:
        case "dtype", (str(code), *_):
            return _dtype(code)
        case "_reconstruct", _:
            return _Array()
        case "scalar", (_Type() as kind, bytes(data)):
            return _scalar(kind, data)
        case "scalar", (_Type(code="O8"), str(text)):
            return text
        case "_frombuffer", (bytes() | bytearray() as data, _Type() as kind, tuple(shape), order):
            return _Array(_array(kind, shape, bytes(data), fortran=order == "F"))
        case "_reconstructor", (Name() as kind, *_) if _is_scikit_learn(kind):
            return Bare(kind)
        case "encode", (str(text), "latin1"):
            return text.encode("latin1")
        case "bytearray", ():
            return bytearray()
        case "bytearray", (bytes(data),):
            return bytearray(data)
        case _ if _is_scikit_learn(name):  # a tree of a fitted classifier, of which nothing is needed
            return Bare(name)
    raise PickleRefused(f"it calls {name}, and nothing that a pickle names is executed here")


def _dtype(code: str) -> _Type:
    if code == "O8":
        return _Type(code)
    if np.dtype(code).kind not in _KINDS:
        raise PickleRefused(f"it has numpy values of type {code}, which is not read here")
    return _Type(code)


def _scalar(kind: _Type, data: bytes) -> Any:
    return np.frombuffer(data, kind.made(), 1)[0].item()


def _array(kind: _Type, shape: tuple[Any, ...], data: Any, *, fortran: bool) -> npt.NDArray[Any]:
    sizes = [_of(size, int) for size in shape]
    if any(size < 0 for size in sizes):
        raise PickleRefused("it is damaged")
    dtype = kind.made()
    if dtype.kind == "V":  # a part of a classifier's tree
        return np.empty(0, np.uint8)
    if dtype.hasobject:
        items = _of(data, list)
        if math.prod(sizes) != len(items):
            raise PickleRefused("it is damaged")
        made = np.empty(len(items), object)
        made[:] = items
        return made.reshape(sizes, order="F" if fortran else "C")
    wire = data.encode("latin1") if isinstance(data, str) else bytes(_of(data, bytes | bytearray))  # type: ignore[arg-type]
    if math.prod(sizes) * dtype.itemsize != len(wire):
        raise PickleRefused("it is damaged")
    return np.frombuffer(wire, dtype).reshape(sizes, order="F" if fortran else "C")


def _give_state(target: Any, state: Any) -> None:
    match target, state:
        case _Array(), (_, tuple(shape), _Type() as kind, fortran, data):
            target.value = _array(kind, shape, data, fortran=bool(fortran))
        case _Type(), (_, str(order), *_):
            target.order = order
        case Bare(), _:
            target.state = state
        case _:
            raise PickleRefused("it is damaged")


def _settled(value: Any) -> Any:
    """The value with its arrays in place, as far down as what is read here goes: three levels."""
    return _settle(value, 3, {})


def _settle(value: Any, levels: int, done: dict[tuple[int, int], Any]) -> Any:
    """A list that stands in many places is settled once, or a small pickle could fill the memory."""
    key = id(value), levels
    if key not in done:
        done[key] = _settle_anew(value, levels, done)
    return done[key]


def _settle_anew(value: Any, levels: int, done: dict[tuple[int, int], Any]) -> Any:
    if isinstance(value, _Array):
        if value.value is None:
            raise PickleRefused("it is damaged")
        return value.value
    if levels == 0:
        return value
    if isinstance(value, Bare):
        return Bare(value.kind, _settle(value.state, levels, done))
    if isinstance(value, dict):
        return {key: _settle(item, levels - 1, done) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_settle(item, levels - 1, done) for item in value]
    return value
