"""What is raised of a source that can't be read."""


class SourceRefused(Exception):
    """The source can't be read, or not beyond `place`; the message says why and how to mend it.

    `place` is where in the source the fault stands, such as `line 17` or `byte 4711`; empty of the whole.
    """

    def __init__(self, message: str, *, place: str = "") -> None:
        super().__init__(f"{place}: {message}" if place else message)
        self.message = message
        self.place = place

    def of(self, source: object) -> str:
        """One line that names the source too: `people.csv, line 17: ...`."""
        return f"{source}, {self}" if self.place else f"{source}: {self}"
