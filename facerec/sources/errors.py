"""The error of a source that can't be read."""


class SourceRefused(Exception):
    """The source can't be read, or not beyond `location`; the message says why and how to fix it.

    `location` is where in the source the fault is, such as `line 17` or `byte 4711`; "" for the whole of it.
    """

    def __init__(self, message: str, *, location: str = "") -> None:
        super().__init__(f"{location}: {message}" if location else message)
        self.message = message
        self.location = location

    def of(self, source: object) -> str:
        """One line that names the source too: `people.csv, line 17: ...`."""
        return f"{source}, {self}" if self.location else f"{source}: {self}"
