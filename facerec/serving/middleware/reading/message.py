"""A stream's message, and the room that it takes in the byte budget."""

from collections.abc import Callable


class Message:
    """A stream's message; `give_back` gives its room back when it is done with."""

    __slots__ = ("_give_back", "_kept")

    def __init__(self, give_back: Callable[[], None]) -> None:
        self._give_back = give_back
        self._kept = False

    def keep(self) -> None:
        """Hold the room past the next message, until `end` or until this is collected."""
        self._kept = True

    def end_unless_kept(self) -> None:
        """The next message is asked for."""
        if not self._kept:
            self._give_back()

    def end(self) -> None:
        """Give the room back; more than once is once."""
        self._give_back()
