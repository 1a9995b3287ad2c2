"""The error of a source that cannot be read."""


class SourceRefused(Exception):
    """The source cannot be read, or not beyond `location`; the message says why and how to fix it.

    `location` is the place of the error in the source, such as `line 17` or `byte 4711`; "" for the whole
    source.
    """

    def __init__(self, message: str, *, location: str = "") -> None:
        super().__init__(f"{location}: {message}" if location else message)
        self.message = message
        self.location = location

    def of(self, source: object) -> str:
        """A line that also names the source, such as `people.csv, line 17: ...`."""
        return f"{source}, {self}" if self.location else f"{source}: {self}"
