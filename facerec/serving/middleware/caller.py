"""The caller of a call, and what it may see and do."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Caller:
    """A caller as the rest of a service knows it.

    Attributes:
        name: The name of its key or certificate; "" where none is required.
        scores: Whether it may see distances.
        collections: The collections that it may reach; None for all.
        encodings: Whether it may send vectors.
        failed_tries_per_day: How many failed tries it has against one person; None for no limit.
        is_admin: Whether it has the role admin.
    """

    name: str = ""
    scores: bool = True
    collections: frozenset[str] | None = None
    encodings: bool = True
    failed_tries_per_day: float | None = None
    is_admin: bool = True


ANYBODY = Caller()
