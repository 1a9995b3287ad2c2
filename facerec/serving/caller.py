"""Who makes the present call, without passing it through every floor."""

import contextvars
import dataclasses


@dataclasses.dataclass(frozen=True)
class Caller:
    """The name of the key or certificate, "" where none is asked for, and whether scores are for them."""

    name: str = ""
    scores: bool = True


ANYBODY = Caller()
_caller: contextvars.ContextVar[Caller] = contextvars.ContextVar("caller", default=ANYBODY)


def enter(name: str, *, scores: bool) -> None:
    """Note at a call's beginning who makes it."""
    _caller.set(Caller(name, scores))


def name() -> str:
    """The caller's name; "" where no key is asked for."""
    return _caller.get().name


def may_see_scores() -> bool:
    """Whether distances may be answered: from many of them a face can be rebuilt."""
    return _caller.get().scores
