"""The caller of a call, and what it may see and do.

A caller is the holder of an API key or client certificate, known by its name in the keys file. If no keys are
required all callers are ANYBODY, and only limits tell them apart, by their hosts' addresses
(`call.share_key`).
"""

import dataclasses
from collections.abc import Mapping, Sequence


@dataclasses.dataclass(frozen=True)
class Caller:
    """The name and permissions of a caller.

    Attributes:
        name: The name of its key or certificate; "" if none is required.
        scores: Whether it may see distances.
        collections: The collections that it may reach; None for all.
        encodings: Whether it may send vectors.
        failed_tries_per_day: How many failed tries it has against one person; None for no limit.
        is_admin: Whether it has the role admin.
        labels: Which people it may find: those with one of the values of each label; empty for all.
    """

    name: str = ""
    scores: bool = True
    collections: frozenset[str] | None = None
    encodings: bool = True
    failed_tries_per_day: float | None = None
    is_admin: bool = True
    labels: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict, hash=False)


ANYBODY = Caller()
