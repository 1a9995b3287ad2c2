"""Interprets a pickle's operations with a stack and a memo; no function that they name is called."""

import sys
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO, Final

from facerec.sources.budget import NO_MEMORY, Budget
from facerec.sources.errors import SourceRefused
from facerec.sources.pickles import objects
from facerec.sources.pickles.costs import COSTS, NUMBERS
from facerec.sources.pickles.objects import Array, Name, of_type
from facerec.sources.pickles.operations import CODES, NAMES, Operations

_MARK: Final = object()
_CHECK_STEPS: Final = 4096
"""How many operations are interpreted between two checks of the budget."""

Operation = Callable[["_Machine", Any], None]


def read(file: BinaryIO, budget: Budget) -> Any:
    """The value of a pickle: of Python's basic types, numpy arrays, and `Placeholder` objects.

    Raises SourceRefused where code would have to be executed, where the bytes are not a pickle, and where the
    budget is exceeded.
    """
    operations = Operations(file, budget.file_bytes)
    try:
        return _Machine(budget).run(operations)
    except SourceRefused as error:
        reason = error.message
    except OSError:
        raise
    except MemoryError:
        reason = NO_MEMORY
    except Exception as error:  # a hostile pickle can cause almost any error; none of its code was executed
        reason = f"it is damaged, or not a pickle ({type(error).__name__})"
    raise SourceRefused(f"the pickle is not imported: {reason}", location=f"byte {operations.position}")


class _Machine:
    """The interpreter: its stack and memo, and a method for each operation."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def run(self, operations: Operations) -> Any:
        """Interpret the operations; returns the value that is on the stack at STOP. Raises SourceRefused."""
        push, operations_by_code, costs, stop = self._stack.append, _OPERATIONS, COSTS, CODES["STOP"]
        steps = cost = 0
        for code, argument in operations:
            steps += 1
            cost += costs[code]
            if steps == _CHECK_STEPS:
                self._budget.spend(built_bytes=cost, steps=steps)
                steps = cost = 0
            operation = operations_by_code[code]
            if operation is None:
                push(argument)
            elif code == stop:
                self._budget.spend(built_bytes=cost, steps=steps)
                return self._pop()
            else:
                operation(self, argument)
        raise AssertionError  # operations end with STOP or an error

    def _pop(self) -> Any:
        value = self._stack.pop()
        if value is _MARK:
            raise SourceRefused("it is damaged")
        return value

    def _since_mark(self) -> list[Any]:
        at = len(self._stack) - 1
        while self._stack[at] is not _MARK:
            at -= 1
        items = self._stack[at + 1 :]
        del self._stack[at:]
        return items

    def _push_built(self, value: Any) -> None:
        """Push an object whose memory depends on its length, and spend that memory."""
        self._budget.spend(built_bytes=sys.getsizeof(value))
        self._stack.append(value)

    def sized(self, argument: Any) -> None:
        self._push_built(argument)

    def constant(self, value: Any) -> None:
        self._stack.append(value)

    def mark(self, _: Any) -> None:
        self._stack.append(_MARK)

    def get(self, argument: Any) -> None:
        value = self._memo[argument]
        # The state of an array is set after it is put into the memo.
        if type(value) is Array and value.value is not None:
            value = value.value
        self._stack.append(value)

    def put(self, argument: Any) -> None:
        self._memo[argument] = self._stack[-1]

    def memoize(self, _: Any) -> None:
        self._memo[len(self._memo)] = self._stack[-1]

    def tuple_of(self, count: int) -> None:
        items = tuple(self._stack[-count:])
        if len(items) != count:
            raise SourceRefused("it is damaged")
        self._stack[-count:] = [items]

    def tuple_since_mark(self, _: Any) -> None:
        self._stack.append(tuple(self._since_mark()))

    def list_since_mark(self, _: Any) -> None:
        self._stack.append(self._since_mark())

    def dict_since_mark(self, _: Any) -> None:
        self._stack.append(_pairs(self._since_mark()))

    def append(self, _: Any) -> None:
        value = self._pop()
        of_type(self._stack[-1], list).append(value)

    def appends(self, _: Any) -> None:
        items = self._since_mark()
        of_type(self._stack[-1], list).extend(items)

    def set_item(self, _: Any) -> None:
        value, key = self._pop(), self._pop()
        of_type(self._stack[-1], dict).update(_pairs([key, value]))

    def set_items(self, _: Any) -> None:
        items = self._since_mark()
        of_type(self._stack[-1], dict).update(_pairs(items))

    def name(self, argument: tuple[str, str]) -> None:
        self._stack.append(objects.known(Name(*argument)))

    def name_from_stack(self, _: Any) -> None:
        name, module = self._pop(), self._pop()
        self._stack.append(objects.known(Name(of_type(module, str), of_type(name, str))))

    def call(self, _: Any) -> None:
        arguments, name = self._pop(), self._pop()
        self._push_built(objects.called(of_type(name, Name), of_type(arguments, tuple)))

    def new(self, _: Any) -> None:
        _, kind = self._pop(), self._pop()
        self._push_built(objects.new(of_type(kind, Name)))

    def new_with_keywords(self, _: Any) -> None:
        self._pop()
        self.new(None)

    def build(self, _: Any) -> None:
        state = self._pop()
        target = self._stack[-1]
        objects.set_state(target, state)
        if type(target) is Array and target.value is not None:
            self._budget.spend(built_bytes=target.value.nbytes)
            self._stack[-1] = target.value


def _pairs(items: list[Any]) -> dict[Any, Any]:
    keys = items[::2]
    if len(items) % 2 or not all(map(_is_key, keys)):
        raise SourceRefused("it has a dict with keys that are neither texts nor numbers")
    return dict(zip(keys, items[1::2], strict=True))


def _is_key(key: Any) -> bool:
    """Whether a key is allowed: larger integers can be chosen with equal hashes, to make a dict slow."""
    if isinstance(key, int):
        return key.bit_length() <= 64
    return isinstance(key, str | float | bytes | None)


def _nothing(machine: _Machine, argument: Any) -> None:
    """An operation without an effect."""


def _refused(name: str) -> Operation:
    def refuse(machine: _Machine, argument: Any) -> None:
        raise SourceRefused(f"it uses {name}, which is not read here")

    return refuse


_SIZED: Final = (
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE"),
    *("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
)
_NAMED: Final[Mapping[str, Operation | None]] = {
    **dict.fromkeys(NUMBERS),
    "NONE": None,
    **dict.fromkeys(_SIZED, _Machine.sized),
    "NEWTRUE": lambda machine, _: machine.constant(True),
    "NEWFALSE": lambda machine, _: machine.constant(False),
    "EMPTY_LIST": lambda machine, _: machine.constant([]),
    "EMPTY_DICT": lambda machine, _: machine.constant({}),
    "EMPTY_TUPLE": lambda machine, _: machine.constant(()),
    "PROTO": _nothing,
    "FRAME": _nothing,
    "STOP": _nothing,
    "MARK": _Machine.mark,
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
"""By name; None pushes the argument. Picklers write no DUP, POP or POP_MARK for the types read here."""

_OPERATIONS: Final = [
    _NAMED.get(NAMES.get(code, ""), _refused(NAMES.get(code, f"the byte {code}"))) for code in range(256)
]
