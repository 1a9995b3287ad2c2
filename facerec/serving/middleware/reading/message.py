"""A message of a stream, and the bytes that it holds of the byte budget."""

from collections.abc import Callable


class StreamMessage:
    """A message of a stream; `release` releases the bytes that it holds of the byte budget."""

    __slots__ = ("_kept", "_release")

    def __init__(self, release: Callable[[], None]) -> None:
        self._release = release
        self._kept = False

    def keep(self) -> None:
        """Hold the bytes beyond the next message, until `end` or until this is garbage-collected."""
        self._kept = True

    def end_unless_kept(self) -> None:
        """Release the bytes as the next message is read, unless `keep` was called."""
        if not self._kept:
            self._release()

    def end(self) -> None:
        """Release the bytes; idempotent."""
        self._release()
