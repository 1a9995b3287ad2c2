"""Reports the refused rows of an import, and other messages while it runs."""

from facerec.cli.terminal import output

MAX_LISTED_ROWS = 1000
"""More refused rows usually have one cause, and a file may have millions."""


class Refusals:
    """The refused rows of `source`: the first 1,000 are printed to stderr or, for JSON, kept in `rows`.

    `refused_locally` is the number of rows that were refused before they were sent.
    """

    def __init__(self, json: bool, source: object) -> None:
        self._console = None if json else output.console(stderr=True)
        self._listed = 0
        self._refused_locally_before = 0
        self.source = source
        self.rows: list[dict[str, str]] = []
        self.refused_locally = 0

    def refuse_locally(self, location: str, field: str, message: str) -> None:
        """Add a row that is refused before it is sent."""
        self.refused_locally += 1
        if self.refused_locally > self._refused_locally_before:
            self.add(location, field, message)

    def restart(self) -> None:
        """Expect the source to be read again from its beginning, without listing a row twice."""
        self._refused_locally_before = max(self._refused_locally_before, self.refused_locally)
        self.refused_locally = 0

    def say(self, text: str) -> None:
        """Print a line about the import itself, unless for JSON."""
        if self._console is not None:
            self._console.print(text)

    def add(self, location: str, field: str, message: str) -> None:
        """List a row that is refused, here or by the service: its location in the source, field and error."""
        self._listed += 1
        if self._listed > MAX_LISTED_ROWS:
            return
        if self._console is None:
            self.rows.append({"place": location, "field": field, "message": message})
            return
        what = f"{field}: {message}" if field else message
        self._console.print(f"refused {self.source}, {location}: {what}")
        if self._listed == MAX_LISTED_ROWS:
            self._console.print("further refused rows are only counted")
