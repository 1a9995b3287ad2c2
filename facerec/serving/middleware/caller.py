"""Whom a call is made by, and what that caller may see and do."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Caller:
    """A caller as the rest of a service knows it.

    `name` is that of its key or certificate, "" where none is asked for. `scores` says whether it may see
    distances, `encodings` whether it may send vectors, `collections` which it may reach (None for all),
    `failed_tries_per_day` how many failed tries it has against one person (None for any number), and
    `is_admin` whether it has the role admin.
    """

    name: str = ""
    scores: bool = True
    collections: frozenset[str] | None = None
    encodings: bool = True
    failed_tries_per_day: float | None = None
    is_admin: bool = True


ANYBODY = Caller()
