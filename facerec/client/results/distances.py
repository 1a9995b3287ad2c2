"""Distances, which only some callers may see."""

from typing import Any


def distance(message: Any) -> float | None:
    """A message's distance; None where it is withheld from this caller."""
    return message.distance if message.HasField("distance") else None
