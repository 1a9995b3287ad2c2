"""Who makes the present call, without passing it through every floor."""

import contextvars

_name: contextvars.ContextVar[str] = contextvars.ContextVar("caller", default="")


def enter(name: str) -> None:
    """Note at a call's beginning the name of the key or certificate that it came with."""
    _name.set(name)


def name() -> str:
    """The caller's name; "" where no key is asked for."""
    return _name.get()
